//! Compares training here with training in PyTorch. Both have the same network, initial weights and image order,
//! without augmentation, for fifty steps of the product's own loop. Both start from `tests/golden/parity-start.json`,
//! which [`export`] writes. `tests/golden/parity.py` trains in PyTorch and writes `parity.json`.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor, TensorData};
use pretext_data::ImageSet;
use pretext_data::augment::{Labelled, to_unit};
use pretext_shared::point::Metric;
use pretext_shared::split::{Split, split};
use pretext_shared::stage::{
    Budget, DecayOn, DownstreamMode, Extent, LabelledView, LastBatch, LrSpec, OptimizerSpec, TrainSpec,
};
use pretext_shared::trainer::{CheckpointPolicy, Report};
use serde::{Deserialize, Serialize};

use super::fit::{Fit, Fitted, epoch_order};
use super::small::*;
use super::*;
use crate::methods::{Batch, Objective, Scores, Supervised, nt_xent};
use crate::models::HeadSpec;

const SEED: u64 = 5;
const BATCH: u32 = 8;
const STEPS: usize = 50;
const TEMPERATURE: f32 = 0.5;
const CLASSES: HeadSpec = HeadSpec::Linear { outputs: 3 };
const PROJECTION: HeadSpec = HeadSpec::Projection { outputs: 8 };
/// Allowed relative difference of the first five losses.
const AT_FIRST: f64 = 1e-5;
/// Allowed difference over all steps, as a multiple of PyTorch's own drift between f32 and f64.
const DRIFTS: f64 = 3.0;

/// The state that both sides start from.
#[derive(Serialize, Deserialize)]
struct Start {
    note: String,
    size: usize,
    batch: u32,
    steps: usize,
    temperature: f32,
    mean: [f32; 3],
    std: [f32; 3],
    runs: Vec<Run>,
    /// Training images of each epoch, in order.
    order: Vec<Vec<u32>>,
    labels: BTreeMap<u32, u32>,
    /// Planes of bytes in hexadecimal digits.
    pixels: BTreeMap<u32, String>,
    /// Weights by path, of both heads.
    weights: BTreeMap<String, Weight>,
}

#[derive(Serialize, Deserialize)]
struct Run {
    name: String,
    task: Task,
    optimizer: OptimizerSpec,
    rate: f64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Task {
    /// Cross-entropy over the classes.
    Classes,
    /// NT-Xent between images and their mirror images.
    Pairs,
}

#[derive(Serialize, Deserialize)]
struct Weight {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Losses of each step in PyTorch.
#[derive(Deserialize)]
struct Golden {
    losses: BTreeMap<String, Losses>,
}

#[derive(Deserialize)]
struct Losses {
    f32: Vec<f64>,
    f64: Vec<f64>,
}

fn runs() -> Vec<Run> {
    let run = |name: &str, task, optimizer, rate| Run { name: name.to_owned(), task, optimizer, rate };
    vec![
        run("sgd", Task::Classes, OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 5e-4 }, 0.02),
        run("adam", Task::Classes, OptimizerSpec::Adam { weight_decay: 0.0 }, 2e-3),
        run("simclr-lars", Task::Pairs, OptimizerSpec::Lars { momentum: 0.9, weight_decay: 1e-4, trust: 1e-3 }, 2.0),
    ]
}

/// Names the parameters of a network by their paths, without the variant of an enum.
#[derive(Default)]
struct Path(Vec<Option<String>>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    fn text(&self) -> String {
        self.0.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

struct Collect<'a>(Path, &'a mut BTreeMap<String, Weight>);

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.0.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics are not trained.
        if param.is_require_grad() {
            let values = param.val().try_into_vec_as().expect("f32");
            self.1.insert(self.0.text(), Weight { shape: param.shape().to_vec(), values });
        }
    }
}

struct Load<'a>(Path, &'a BTreeMap<String, Weight>);

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.0.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let path = self.0.text();
        let weight = self.1.get(&path).unwrap_or_else(|| panic!("{path} is not in parity-start.json"));
        let (id, old, mapper) = param.consume();
        let data = TensorData::new(weight.values.clone(), weight.shape.clone());
        let tensor = Tensor::from_data(data, &old.device()).set_require_grad(true);
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// SimCLR's loss with the mirror image as the second view: two views without a draw.
struct Mirrored<'a>(Samples<'a>);

impl Objective for Mirrored<'_> {
    fn smallest_batch(&self) -> usize {
        2
    }

    fn training(&self, ids: &[u32], _: u32) -> Batch {
        let n = ids.len();
        let partners = (0..2 * n).map(|row| ((row + n) % (2 * n)) as i64).collect();
        self.0.batch(2 * n, 1, partners, |row, out| {
            to_unit(self.0.images.image(ids[row % n]), out);
            if row >= n {
                out.chunks_exact_mut(SIZE as usize).for_each(<[f32]>::reverse);
            }
        })
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        self.training(ids, 0)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        nt_xent(outputs, labels, TEMPERATURE)
    }
}

struct Silent;

impl Events for Silent {
    fn report(&self, _: Report) {}

    fn stop_requested(&self) -> bool {
        false
    }
}

fn parts(images: &ImageSet) -> Split {
    split(&images.members(), all_labels()).expect("a split")
}

/// Returns the loss of each step of `run`.
fn losses(start: &Start, run: &Run) -> Vec<f64> {
    let images = images().map(|id, _, out| {
        let digits = start.pixels[&id].as_bytes().chunks_exact(2);
        let bytes =
            digits.map(|pair| std::str::from_utf8(pair).ok().and_then(|text| u8::from_str_radix(text, 16).ok()));
        out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte.expect("hexadecimal digits"));
    });
    let samples = Samples { images: &images, mean: start.mean, std: start.std, seed: SEED };
    let supervised = Supervised { samples, augment: Labelled::new(images.size(), LabelledView::PLAIN) };
    let split = parts(&images);
    match run.task {
        Task::Classes => train_with(start, run, &CLASSES, &supervised, LastBatch::Kept, &split),
        Task::Pairs => train_with(start, run, &PROJECTION, &Mirrored(samples), LastBatch::Dropped, &split),
    }
}

fn train_with<O: Objective>(
    start: &Start,
    run: &Run,
    head: &HeadSpec,
    objective: &O,
    last: LastBatch,
    split: &Split,
) -> Vec<f64> {
    let (compute, folder) = (Compute::cpu(), tempfile::tempdir().expect("a folder"));
    let network = Network::new(&encoder(), head, SEED, &compute.training());
    let network = network.map(&mut Load(Path::default(), &start.weights));
    let train = TrainSpec {
        budget: Budget::Steps(STEPS as u64),
        batch: BATCH,
        optimizer: run.optimizer.clone(),
        decay: DecayOn::Weights,
        lr: LrSpec::Constant { base: run.rate },
    };
    let fit = Fit {
        stage: parent_id(),
        objective,
        last,
        split,
        train: &train,
        seed: SEED,
        extent: Extent::Whole,
        compute: &compute,
        checkpoints: &Checkpoints::new(folder.path(), parent_id(), 1),
        policy: CheckpointPolicy { every_seconds: 1e9, keep: 1 },
        monitor: None,
    };
    let mut reporter = Reporter::new(&Silent);
    let fitted = fit.run(network, &mut reporter).expect("it trains");
    assert!(matches!(fitted, Fitted::Done(_)));
    let of_steps = reporter.points().iter().filter(|point| point.metric == Metric::StepLoss);
    of_steps.map(|point| point.value).collect()
}

/// Reads a file of `tests/golden` when the test runs, so that one build serves `export` and the test after it.
fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn start() -> Start {
    serde_json::from_str(&golden("parity-start.json")).expect("`export` wrote it")
}

/// Returns the largest difference so far, step by step.
fn drift(a: &[f64], b: &[f64]) -> Vec<f64> {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.scan(0f64, |most, one| Some(std::mem::replace(most, most.max(one)).max(one))).collect()
}

#[test]
fn losses_are_pytorchs() {
    let start = start();
    let recorded: Golden = serde_json::from_str(&golden("parity.json")).expect("the script wrote it");
    assert_eq!(start.runs.len(), recorded.losses.len());
    let mut table = String::new();
    for run in &start.runs {
        let (golden, own) = (&recorded.losses[&run.name], losses(&start, run));
        assert_eq!((own.len(), golden.f32.len(), golden.f64.len()), (STEPS, STEPS, STEPS));
        let at_first = own.iter().zip(&golden.f64).take(5).map(|(own, theirs)| (own / theirs - 1.0).abs());
        let at_first = at_first.fold(0.0, f64::max);
        let (ours, theirs) = (drift(&own, &golden.f64), drift(&golden.f32, &golden.f64));
        let (ours, theirs) = (ours[STEPS - 1], theirs[STEPS - 1]);
        table.push_str(&format!(
            "| {} | {:.4} to {:.4} | {at_first:.1e} | {ours:.1e} | {theirs:.1e} |\n",
            run.name,
            own[0],
            own[STEPS - 1]
        ));
        assert!(at_first <= AT_FIRST, "the first five losses differ\n{table}");
        assert!(ours <= DRIFTS * theirs, "the losses of {STEPS} steps differ\n{table}");
    }
    println!("{table}");
}

#[test]
fn the_order_of_the_images_is_the_loops() {
    let (start, images) = (start(), images());
    let split = parts(&images);
    let own: Vec<Vec<u32>> = (1..=start.order.len() as u32).map(|epoch| epoch_order(&split, SEED, epoch)).collect();
    assert_eq!(start.order, own);
}

/// Writes `tests/golden/parity-start.json`.
#[test]
#[ignore = "writes a committed file"]
fn export() {
    let stage = Small::downstream(DownstreamMode::FineTune, None, train(SGD));
    let data = stage.data();
    let (mean, std) = data.normalization(&pretext_shared::dataset::Normalize::Train);
    let (images, split) = (&data.train, parts(&data.train));
    let hex = |id: &u32| images.image(*id).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut weights = BTreeMap::new();
    for head in [CLASSES, PROJECTION] {
        let network = Network::new(&encoder(), &head, SEED, &Compute::cpu().training());
        network.visit(&mut Collect(Path::default(), &mut weights));
    }
    // Batches of pairs are full: the fewest steps an epoch, the most epochs.
    let epochs = STEPS.div_ceil(split.train.len() / BATCH as usize) as u32;
    let start = Start {
        note: "Written by `cargo test --release -p pretext-trainer --lib parity_tests::export -- --ignored`."
            .to_owned(),
        size: SIZE as usize,
        batch: BATCH,
        steps: STEPS,
        temperature: TEMPERATURE,
        mean,
        std,
        runs: runs(),
        order: (1..=epochs).map(|epoch| epoch_order(&split, SEED, epoch)).collect(),
        labels: images.ids().iter().map(|id| (*id, images.label(*id))).collect(),
        pixels: images.ids().iter().map(|id| (*id, hex(id))).collect(),
        weights,
    };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/parity-start.json");
    let text = serde_json::to_string(&start).expect("numbers and text");
    std::fs::write(path, text + "\n").expect("a writable checkout");
}
