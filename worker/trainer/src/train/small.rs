//! Stages small enough for tests: procedural pictures of 16 pixels and a network of a few thousand weights.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pretext_data::{Dataset, ImageSet};
use pretext_shared::dataset::{DataSpec, Fit, Normalize, Procedural, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ContentHash, StageId};
use pretext_shared::methods::{rotation, rotation_jitter, simclr};
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::point::Point;
use pretext_shared::split::{Fraction, SplitSpec};
use pretext_shared::stage::{
    Budget, Chances, CropFlip, DecayOn, DownstreamHead, DownstreamMode, DownstreamSpec, EncoderSpec, Extent,
    LabelledView, LrSpec, OptimizerSpec, PretextImages, PretextSpec, PretextTask, Stage, StageSpec, TestSpec,
    TrainSpec,
};
use pretext_shared::trainer::{CheckpointPolicy, Finished, Report, Run};
use tempfile::TempDir;

use super::{End, Events, StageError, run_stage};
use crate::device::Compute;

/// Training images of each of the three classes: 11 train, 3 validate.
const PER_CLASS: u32 = 14;
pub(crate) const SIZE: u32 = 16;
pub(crate) const AUGMENT: CropFlip = CropFlip { padding: 2, flip: true };
pub(crate) const LABELLED: LabelledView = LabelledView::Padded(AUGMENT);

/// A stage in a folder of its own.
pub(crate) struct Small {
    pub(crate) run: Run,
    folder: TempDir,
}

/// Collects all reports, and asks for a stop at the given question.
pub(crate) struct Recorder {
    reports: Mutex<Vec<Report>>,
    questions: AtomicU64,
    stop_at: u64,
}

pub(crate) fn encoder() -> EncoderSpec {
    EncoderSpec::SmallCnn { width: 6, blocks: 2 }
}

pub(crate) fn source() -> Procedural {
    Procedural { train_per_class: PER_CLASS, test_per_class: 7, seed: 1 }
}

fn data() -> DataSpec {
    DataSpec {
        fingerprint: source().facts().fingerprint,
        classes: 3,
        image_size: SIZE,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: Fit::default(),
    }
}

/// The training images.
pub(crate) fn images() -> ImageSet {
    let folder = std::path::Path::new(".");
    Dataset::load(folder, &Source::Procedural(source()), &data(), None).expect("drawn pictures").train
}

/// Returns the fixed id of a parent stage, whose model is given as a file.
pub(crate) fn parent_id() -> StageId {
    StageId(ContentHash::of(b"parent"))
}

pub(crate) const ROTATION: PretextTask = PretextTask::Rotation(rotation::Task { augment: AUGMENT });
pub(crate) const ROTATION_JITTER: PretextTask =
    PretextTask::RotationJitter(rotation_jitter::Task { augment: AUGMENT, strength: 0.5 });
pub(crate) const SIMCLR: PretextTask = PretextTask::Simclr(simclr::Task {
    temperature: 0.5,
    projection: 8,
    strength: 0.5,
    min_crop: 0.3,
    flip: true,
    chances: Chances { jitter: 0.8, grayscale: 0.2, blur: 0.0 },
});

/// Three epochs of batches of 8.
pub(crate) fn train(optimizer: OptimizerSpec) -> TrainSpec {
    let lr = LrSpec::Cosine { base: 0.01, warmup_epochs: 0.5 };
    TrainSpec { budget: Budget::Epochs(3), batch: 8, optimizer, decay: DecayOn::Weights, lr }
}

pub(crate) const ADAM: OptimizerSpec = OptimizerSpec::Adam { weight_decay: 1e-4 };
pub(crate) const SGD: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 5e-4 };

/// Returns the split of every stage here.
pub(crate) fn all_labels() -> SplitSpec {
    SplitSpec { seed: 3, fraction: Fraction::ALL }
}

impl Small {
    fn new(spec: StageSpec, parent: Option<&Finished>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Stage { spec, class: NumericClass::Cpu, extent: Extent::Whole };
        let run = Run {
            stage,
            source: Source::Procedural(source()),
            data_root: folder.path().to_owned(),
            fetched: None,
            folder: folder.path().to_owned(),
            weights: None,
            parent: parent.map(|parent| parent.files[&ArtifactKind::Model].clone()),
            checkpoint: CheckpointPolicy { every_seconds: 1e9, keep: 2 },
        };
        Self { run, folder }
    }

    pub(crate) fn pretext(task: PretextTask, train: TrainSpec) -> Self {
        let images = PretextImages::Given;
        let spec = PretextSpec {
            data: data(),
            split: all_labels(),
            seed: 5,
            encoder: encoder(),
            task,
            images,
            knn: None,
            weights: None,
            train,
        };
        Self::new(StageSpec::Pretext(spec), None)
    }

    /// Returns the same stage with another specification.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut StageSpec)) -> Self {
        change(&mut self.run.stage.spec);
        self
    }

    /// Returns [`Self::pretext`] on a data set with `per_class` training images a class.
    pub(crate) fn larger(task: PretextTask, per_class: u32, train: TrainSpec) -> Self {
        let source = Procedural { train_per_class: per_class, ..source() };
        let fingerprint = source.facts().fingerprint;
        let mut small = Self::pretext(task, train).with(|spec| {
            let StageSpec::Pretext(spec) = spec else { return };
            spec.data.fingerprint = fingerprint;
        });
        small.run.source = Source::Procedural(source);
        small
    }

    pub(crate) fn downstream(mode: DownstreamMode, parent: Option<&Finished>, train: TrainSpec) -> Self {
        let spec = DownstreamSpec {
            data: data(),
            split: all_labels(),
            seed: 5,
            encoder: encoder(),
            pretext: parent.map(|_| parent_id()),
            weights: None,
            mode,
            head: DownstreamHead::Linear,
            augment: LABELLED,
            train,
        };
        Self::new(StageSpec::Downstream(spec), parent)
    }

    pub(crate) fn test(parent: &Finished) -> Self {
        let spec = TestSpec { data: data(), encoder: encoder(), downstream: parent_id() };
        Self::new(StageSpec::Test(spec), Some(parent))
    }

    /// Returns the same stage in another, empty folder.
    pub(crate) fn again(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { run: Run { folder: folder.path().to_owned(), ..self.run.clone() }, folder }
    }

    /// Returns the pictures that the stage reads.
    pub(crate) fn data(&self) -> Dataset {
        let data = Dataset::load(self.folder.path(), &self.run.source, self.run.stage.spec.data(), None);
        data.expect("drawn pictures")
    }

    /// Runs the stage; `stop_at` as in [`Recorder`], 0 for never.
    pub(crate) fn try_run(&self, stop_at: u64) -> (Result<End, StageError>, Vec<Report>) {
        let recorder = Recorder { reports: Mutex::default(), questions: AtomicU64::new(0), stop_at };
        let end = run_stage(&self.run, &Compute::cpu(), &self.data(), &recorder);
        (end, recorder.reports.into_inner().expect("no report panicked"))
    }

    /// Runs the stage to its end on data that other stages ran on. Also returns how often it asked whether to stop.
    pub(crate) fn finish_on(&self, data: &Dataset) -> (Finished, u64) {
        let recorder = Recorder { reports: Mutex::default(), questions: AtomicU64::new(0), stop_at: 0 };
        match run_stage(&self.run, &Compute::cpu(), data, &recorder) {
            Ok(End::Finished(finished)) => (finished, recorder.questions.into_inner()),
            other => panic!("the stage did not finish: {other:?}"),
        }
    }

    /// Runs the stage to its end.
    pub(crate) fn finish(&self) -> (Finished, Vec<Report>) {
        match self.try_run(0) {
            (Ok(End::Finished(finished)), reports) => (finished, reports),
            (other, _) => panic!("the stage did not finish: {other:?}"),
        }
    }
}

impl Events for Recorder {
    fn report(&self, report: Report) {
        self.reports.lock().expect("no report panicked").push(report);
    }

    fn stop_requested(&self) -> bool {
        self.questions.fetch_add(1, Ordering::SeqCst) + 1 == self.stop_at
    }
}

/// Returns all points of `reports`, in order.
pub(crate) fn points(reports: &[Report]) -> Vec<Point> {
    let points = reports.iter().filter_map(|report| match report {
        Report::Points { points } => Some(points.clone()),
        _ => None,
    });
    points.flatten().collect()
}

/// Returns the bytes of the model of a finished stage.
pub(crate) fn model(finished: &Finished) -> Vec<u8> {
    std::fs::read(&finished.files[&ArtifactKind::Model]).expect("a finished stage has a model")
}
