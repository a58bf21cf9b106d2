//! Measures training steps on the CPU: images per second of the small CNN and of ResNet-18, and the time of each
//! operation. The steps run in the product's own loop (augmentation, forward, backward, update), at one and two
//! threads. Prints one line of JSON for each case; `tests/bench/compare.py` puts them beside PyTorch's.
//!
//!     cargo bench -p worker --bench step [-- CASE…]

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pretext_data::Dataset;
use pretext_shared::dataset::{DataSpec, Fit, Normalize, Procedural, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::split::{Fraction, SplitSpec};
use pretext_shared::stage::{
    Budget, CropFlip, DecayOn, DownstreamHead, DownstreamMode, DownstreamSpec, EncoderSpec, Extent, LabelledView,
    LrSpec, OptimizerSpec, Stage, StageSpec, Stem, TrainSpec,
};
use pretext_shared::trainer::{CheckpointPolicy, Report, Run};

use pretext_trainer::cpu::profile::{self, Operation};
use pretext_trainer::device::Compute;
use pretext_trainer::train::{Events, run_stage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Case {
    name: &'static str,
    encoder: EncoderSpec,
    size: u32,
    batch: u32,
    steps: u64,
}

fn cases() -> [Case; 3] {
    [
        Case {
            name: "small-cnn",
            encoder: EncoderSpec::SmallCnn { width: 16, blocks: 3 },
            size: 32,
            batch: 64,
            steps: 60,
        },
        Case {
            name: "resnet18-32",
            encoder: EncoderSpec::Resnet18 { stem: Stem::Small },
            size: 32,
            batch: 16,
            steps: 12,
        },
        Case {
            name: "resnet18-224",
            encoder: EncoderSpec::Resnet18 { stem: Stem::Large },
            size: 224,
            batch: 4,
            steps: 12,
        },
    ]
}

/// Takes the time between two steps: the loop asks at the start of each step whether to stop.
struct Clock(Mutex<Vec<(Instant, Spent)>>);

/// The time of each operation since the last question.
type Spent = [(Operation, Duration); Operation::ALL.len()];

impl Events for Clock {
    fn report(&self, _: Report) {}

    fn stop_requested(&self) -> bool {
        let mut times = self.0.lock().expect("nothing panics while it is held");
        times.push((Instant::now(), profile::take()));
        false
    }
}

/// Number of first steps that are not counted.
const WARM_UP: usize = 2;

fn run(case: &Case, threads: usize) -> Result<String, Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("pretext-bench-{}-{}", case.name, std::process::id()));
    std::fs::create_dir_all(&folder)?;
    // More images than the steps see: no epoch ends, so no validation runs during the measurement.
    let per_class = case.batch * (case.steps as u32 + WARM_UP as u32 + 1) / 2;
    let source = Procedural { train_per_class: per_class, test_per_class: 2, seed: 1 };
    let data = DataSpec {
        fingerprint: source.facts().fingerprint,
        classes: 3,
        image_size: case.size,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: Fit::default(),
    };
    let spec = DownstreamSpec {
        data,
        split: SplitSpec { seed: 3, fraction: Fraction::ALL },
        seed: 5,
        encoder: case.encoder.clone(),
        pretext: None,
        weights: None,
        mode: DownstreamMode::FineTune,
        head: DownstreamHead::Linear,
        augment: LabelledView::Padded(CropFlip { padding: case.size / 8, flip: true }),
        train: TrainSpec {
            budget: Budget::Steps(case.steps + WARM_UP as u64),
            batch: case.batch,
            optimizer: OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.0 },
            decay: DecayOn::Weights,
            lr: LrSpec::Constant { base: 0.01 },
        },
    };
    let run = Run {
        stage: Stage { spec: StageSpec::Downstream(spec), class: NumericClass::Cpu, extent: Extent::Whole },
        source: Source::Procedural(source),
        data_root: PathBuf::from("."),
        fetched: None,
        folder: folder.clone(),
        weights: None,
        parent: None,
        checkpoint: CheckpointPolicy { every_seconds: 1e9, keep: 2 },
    };
    let data = Dataset::load(&folder, &run.source, run.stage.spec.data(), None)?;
    let clock = Clock(Mutex::new(Vec::new()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let cpu = cpu_seconds();
    let begin = Instant::now();
    pool.install(|| run_stage(&run, &Compute::cpu(), &data, &clock))?;
    let load = (cpu_seconds() - cpu) / begin.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder)?;
    let times = clock.0.into_inner()?;
    let steps: Vec<Duration> = times[WARM_UP..].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let median = median(steps);
    let parts = Operation::ALL.map(|operation| {
        let spent = times[WARM_UP + 1..].iter().flat_map(|(_, parts)| parts).filter(|part| part.0 == operation);
        let spent = self::median(spent.map(|part| part.1).collect());
        format!("\"{operation:?}\":{:.3}", spent * 1e3)
    });
    let parts = parts.join(",");
    Ok(format!(
        "{{\"case\":\"{}\",\"threads\":{threads},\"batch\":{},\"images_per_second\":{:.2},\"step_ms\":{:.3},\"cpus_used\":{load:.2},\"ms_per_step\":{{{parts}}}}}",
        case.name,
        case.batch,
        f64::from(case.batch) / median,
        median * 1e3,
    ))
}

/// Returns the median in seconds.
fn median(mut spans: Vec<Duration>) -> f64 {
    spans.sort();
    spans[spans.len() / 2].as_secs_f64()
}

/// Returns the user and system time of this process.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = text.rsplit(')').next().unwrap_or("").split(' ').filter_map(|f| f.parse().ok()).collect();
    // The 14th and 15th field of the file, in hundredths of a second; the third field is a letter.
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for case in cases() {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == case.name) {
            continue;
        }
        for threads in [1, 2] {
            println!("{}", run(&case, threads)?);
        }
    }
    Ok(())
}
