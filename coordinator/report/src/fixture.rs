//! A sweep for tests: four methods, two fractions, two policies, and cells in all five states. Its numbers are easy to
//! check by hand, and every foreign text is hostile.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use pretext_shared::dataset::{DataSpec, DatasetFacts, Fit, Normalize};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, ContentHash, Fingerprint, StageId, SweepId};
use pretext_shared::methods::keys::{Defaults, Listing};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::split::{Fraction, SplitSpec};
use pretext_shared::stage::{
    Budget, CropFlip, DecayOn, DownstreamHead, DownstreamMode, DownstreamSpec, EncoderSpec, Extent, LabelledView,
    LrSpec, Method, OptimizerSpec, PretextSpec, Stage, StageSpec, TestSpec, TrainSpec,
};
use pretext_shared::sweep::{Build, Cell, CellKey, Cost, Provenance, StageStatus, StageView, SweepView};

/// The output of a hostile trainer.
pub(super) const HOSTILE: &str = "<script>alert('1')</script> \u{1b}[31m| \"x\" & `y` *z*";

/// Test accuracies of the middle seed, supervised first, for 5 % and 25 %.
const ACCURACY: [[f64; 4]; 2] = [[0.43, 0.46, 0.47, 0.50], [0.61, 0.63, 0.62, 0.66]];

const METHODS: [Method; 4] = [Method::Supervised, Method::Rotation, Method::RotationJitter, Method::Simclr];

/// Returns the sweep. All cells of policy `scheduler` succeeded, with seeds 1 to 3; their accuracies are 0.02 apart and
/// their losses 0.1. Policy `fixed` has seed 1, a cell in each of the other states at 25 %, and a failed one at 5 %.
/// Supervised `fixed` has no cell at 5 %. Both policies share their pretext stages.
pub(super) fn view() -> SweepView {
    let mut view = SweepView {
        id: SweepId::new("tissue", ContentHash::of(b"spec")),
        name: "tissue".to_owned(),
        provenance: Provenance {
            spec: "name: tissue # <b>\nmethods: [supervised, rotation, rotation-jitter, simclr]\n".to_owned(),
            dataset: facts(),
            pretext_dataset: None,
            version: "0.1.0".to_owned(),
            class: NumericClass::Cpu,
            extent: Extent::Whole,
            build: Some(Build {
                revision: Some("0a1b2c3".to_owned()),
                lock: ContentHash::of(b"lock"),
                crates: vec!["burn 0.22.1".to_owned(), "rand_chacha 0.10.0".to_owned()],
            }),
        },
        cells: Vec::new(),
        stages: BTreeMap::new(),
        cancelled: None,
    };
    for (row, fraction) in [0.05, 0.25].into_iter().enumerate() {
        for (column, method) in METHODS.into_iter().enumerate() {
            for (lr, seeds) in [("scheduler", &[1, 2, 3][..]), ("fixed", &[1])] {
                for seed in seeds {
                    if (method, row, lr) == (Method::Supervised, 0, "fixed") {
                        continue;
                    }
                    let fraction = Fraction::new(fraction).expect("a fraction");
                    let key = CellKey { method, fraction, lr: lr.to_owned(), seed: *seed };
                    add_cell(&mut view, key, ACCURACY[row][column]);
                }
            }
        }
    }
    let unlucky = |method, fraction: f64| (method, Fraction::new(fraction).expect("a fraction"));
    let (failed, cancelled) = (unlucky(Method::Simclr, 0.05), unlucky(Method::Rotation, 0.25));
    let (running, pending) = (unlucky(Method::RotationJitter, 0.25), unlucky(Method::Simclr, 0.25));
    set_downstream(
        &mut view,
        failed,
        StageStatus::Failed(Failure {
            code: FailureCode::Diverged,
            message: format!("the loss is NaN at step 12, learning rate 0.3 {HOSTILE}"),
            log: vec!["step 11 loss 4e8".to_owned(), HOSTILE.to_owned()],
        }),
    );
    set_downstream(&mut view, cancelled, StageStatus::Cancelled);
    set_downstream(&mut view, running, StageStatus::Running { worker: "gpu-1".to_owned(), step: 40 });
    set_downstream(&mut view, pending, StageStatus::Pending);
    view
}

/// [`view`] with random-init cells at 5 % under policy `scheduler`: accuracies 0.28, 0.30, 0.32.
pub(super) fn with_floor() -> SweepView {
    let mut view = view();
    for seed in 1..=3 {
        let fraction = Fraction::new(0.05).expect("a fraction");
        add_cell(&mut view, CellKey { method: Method::RandomInit, fraction, lr: "scheduler".to_owned(), seed }, 0.30);
    }
    view
}

/// The artifacts of the stages of the fixture.
static STORED: LazyLock<Mutex<BTreeMap<ArtifactId, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// Adds `by` to the test accuracy of a cell of policy `scheduler`.
pub(super) fn shift_accuracy(view: &mut SweepView, method: Method, fraction: f64, seed: u64, by: f64) {
    let fraction = Fraction::new(fraction).expect("a fraction");
    let key = CellKey { method, fraction, lr: "scheduler".to_owned(), seed };
    let test = view.cells.iter().find(|cell| cell.key == key).expect("the cell is in the fixture").test;
    match &mut view.stages.get_mut(&test).expect("stages of cells are in the view").status {
        StageStatus::Succeeded(result) => result.score.accuracy += by,
        other => panic!("all of `scheduler` succeeded: {other:?}"),
    }
}

/// The content of an artifact of the fixture.
pub(super) fn artifact(id: &ArtifactId) -> Option<Vec<u8>> {
    STORED.lock().expect("no test panics with the lock").get(id).cloned()
}

/// Answers to all test images, `accuracy` of them right; `shift` moves which ones.
fn predictions(accuracy: f64, shift: usize) -> Vec<u8> {
    let mut text = String::from("sample,path,label,predicted,p_0,p_1,p_2\n");
    let labels = facts().test.into_iter().enumerate().flat_map(|(class, n)| (0..n).map(move |_| class));
    let right = (accuracy * 3782.0).round() as usize;
    for (sample, label) in labels.enumerate() {
        let predicted = if (sample * 1009 + shift * 517) % 3782 < right { label } else { (label + 1) % 3 };
        let shares = [0, 1, 2].map(|class| if class == predicted { "6e-1" } else { "2e-1" }).join(",");
        text.push_str(&format!("{sample},test/{sample}.png,{label},{predicted},{shares}\n"));
    }
    text.into_bytes()
}

fn split(seed: u64) -> Vec<u8> {
    format!("sample,part\n{seed},train\n").into_bytes()
}

fn facts() -> DatasetFacts {
    DatasetFacts {
        key: "image-folder:tissue".to_owned(),
        fingerprint: Fingerprint(ContentHash::of(b"data")),
        classes: vec!["benign".to_owned(), "ADH <&>".to_owned(), "DCIS".to_owned()],
        train: vec![3079; 3],
        test: vec![1136, 1876, 770],
        groups: Vec::new(),
        validation: Vec::new(),
        notes: Vec::new(),
    }
}

fn add_cell(view: &mut SweepView, key: CellKey, accuracy: f64) {
    let data = DataSpec {
        fingerprint: view.provenance.dataset.fingerprint,
        classes: 3,
        image_size: 32,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: Fit::default(),
    };
    let split = SplitSpec { seed: key.seed, fraction: key.fraction };
    let encoder = EncoderSpec::SmallCnn { width: 16, blocks: 3 };
    let augment = CropFlip { padding: 4, flip: true };
    let cosine = LrSpec::Cosine { base: 3e-4, warmup_epochs: 1.0 };
    let train = |lr| TrainSpec {
        budget: Budget::Epochs(12),
        batch: 64,
        optimizer: OptimizerSpec::Adam { weight_decay: 0.0 },
        decay: DecayOn::Weights,
        lr,
    };
    let mut defaults = Listing::new(Defaults::unknown());
    let task = key.method.about().pretext.and_then(|pretext| (pretext.read)(&mut defaults));
    let offset = key.seed as f64 - 2.0;
    let images = (key.fraction.value() * 9237.0) as u64;
    let cost =
        Cost { train_images: images * 4 / 5, validation_images: images / 5, epochs: 12, steps: 72, images_seen: 0 };
    let pretext = task.map(|task| {
        let views = task.rules().views;
        let spec = PretextSpec {
            data: data.clone(),
            split,
            seed: key.seed,
            encoder: encoder.clone(),
            task,
            images: key.method.images(),
            knn: None,
            weights: None,
            train: train(cosine),
        };
        let cost = Cost { images_seen: 12 * views * cost.train_images, ..cost };
        let score = Score { loss: 0.9, accuracy: 0.55 + 0.01 * offset, seen: views * cost.validation_images };
        add_stage(view, StageSpec::Pretext(spec), cost, score, &[(ArtifactKind::Split, self::split(key.seed))])
    });
    let lr = if key.lr == "fixed" {
        LrSpec::Constant { base: 5e-6 }
    } else {
        LrSpec::Cosine { base: 0.001, warmup_epochs: 0.0 }
    };
    let mode = match key.method {
        Method::RandomInit => DownstreamMode::Frozen,
        _ => DownstreamMode::FineTune,
    };
    let spec = DownstreamSpec {
        data: data.clone(),
        split,
        seed: key.seed,
        encoder: encoder.clone(),
        pretext,
        weights: None,
        mode,
        head: DownstreamHead::Linear,
        augment: LabelledView::Padded(augment),
        train: train(lr),
    };
    let downstream_cost = Cost { images_seen: 12 * cost.train_images, ..cost };
    let score = Score { loss: 1.0, accuracy, seen: cost.validation_images };
    let downstream = add_stage(
        view,
        StageSpec::Downstream(spec),
        downstream_cost,
        score,
        &[(ArtifactKind::Split, self::split(key.seed))],
    );
    let spec = TestSpec { data, encoder, downstream };
    let test_cost = Cost { train_images: 3782, validation_images: 0, epochs: 0, steps: 0, images_seen: 3782 };
    let score = Score { loss: 1.0 + 0.1 * offset, accuracy: accuracy + 0.02 * offset, seen: 3782 };
    let predictions = predictions(score.accuracy, column(key.method));
    let test = add_stage(view, StageSpec::Test(spec), test_cost, score, &[(ArtifactKind::Predictions, predictions)]);
    view.cells.push(Cell { key, pretext, downstream, test, mode });
}

fn column(method: Method) -> usize {
    Method::ALL.iter().position(|one| *one == method).expect("all methods are in the list")
}

/// Adds a stage that succeeded; its curves fall and rise as curves do and end at `score`.
fn add_stage(
    view: &mut SweepView,
    spec: StageSpec,
    cost: Cost,
    score: Score,
    files: &[(ArtifactKind, Vec<u8>)],
) -> StageId {
    let stage = Stage { spec, class: NumericClass::Cpu, extent: Extent::Whole };
    let selected_epoch = cost.epochs.saturating_sub(3);
    let mut points = Vec::new();
    for epoch in 1..=cost.epochs {
        let progress = f64::from(epoch) / f64::from(cost.epochs);
        let overfit = (progress - 0.75).abs();
        let values = [
            (Part::Train, Metric::Loss, 0.7 * score.loss + 0.9 * (-4.0 * progress).exp()),
            (Part::Train, Metric::Accuracy, score.accuracy * (1.05 - 0.5 * (-4.0 * progress).exp())),
            (Part::Validation, Metric::Loss, score.loss + overfit * overfit),
            (Part::Validation, Metric::Accuracy, score.accuracy * (1.0 - 0.6 * overfit * overfit)),
        ];
        let step = u64::from(epoch) * cost.steps / u64::from(cost.epochs);
        points.extend(values.map(|(part, metric, value)| Point { part, metric, epoch, step, value }));
    }
    let store = |(kind, content): &(ArtifactKind, Vec<u8>)| {
        let id = ArtifactId(ContentHash::of(content));
        STORED.lock().expect("no test panics with the lock").insert(id, content.clone());
        (*kind, id)
    };
    let result = StageResult {
        selected_epoch,
        score,
        steps: cost.steps,
        images: cost.images_seen,
        artifacts: files.iter().map(store).collect(),
        device: "cpu (x86-64 with AVX-512)".to_owned(),
        seconds: 8.25,
    };
    let id = stage.id();
    view.stages.insert(id, StageView { stage, cost, status: StageStatus::Succeeded(result), points });
    id
}

/// Changes the downstream stage of a cell of policy `fixed`; its test stage cannot have run then.
fn set_downstream(view: &mut SweepView, (method, fraction): (Method, Fraction), status: StageStatus) {
    let found = |cell: &&Cell| cell.key.lr == "fixed" && cell.key.method == method && cell.key.fraction == fraction;
    let cell = view.cells.iter().find(found).expect("the cell is in the fixture").clone();
    let running = matches!(status, StageStatus::Running { .. } | StageStatus::Failed(_));
    let mut change = |id: StageId, status: StageStatus, epochs: u32| {
        let stage = view.stages.get_mut(&id).expect("stages of cells are in the view");
        stage.status = status;
        stage.points.retain(|point| point.epoch <= epochs);
    };
    change(cell.downstream, status, if running { 4 } else { 0 });
    change(cell.test, StageStatus::Pending, 0);
}
