//! Stages: units of work named by a content hash of everything that determines their output.

use serde::{Deserialize, Serialize};

use crate::dataset::DataSpec;
use crate::device::NumericClass;
use crate::ids::{ContentHash, StageId};
use crate::split::SplitSpec;

/// Raised by hand when a change of code changes the results of pretext or downstream training.
pub const TRAINING_VERSION: u32 = 2;
/// Raised by hand when a change of code changes the results of evaluation.
pub const EVALUATION_VERSION: u32 = 1;

/// How a representation is learned before (or instead of) labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// No pretext: training from scratch on the labels.
    Supervised,
    /// Predict which of four rotations an image was given (Gidaris et al. 2018).
    Rotation,
    /// Rotation prediction on colour-jittered images.
    RotationJitter,
    /// Contrast two augmented views of an image with all others (Chen et al. 2020).
    Simclr,
}

impl Method {
    /// All methods, in the order of the report's columns.
    pub const ALL: [Method; 4] = [Method::Supervised, Method::Rotation, Method::RotationJitter, Method::Simclr];

    /// As written in a sweep file.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Supervised => "supervised",
            Method::Rotation => "rotation",
            Method::RotationJitter => "rotation-jitter",
            Method::Simclr => "simclr",
        }
    }

    /// As a column heading.
    pub fn title(self) -> &'static str {
        match self {
            Method::Supervised => "Supervised",
            Method::Rotation => "Rotation",
            Method::RotationJitter => "Rotation + jitter",
            Method::Simclr => "SimCLR",
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The network that turns an image into features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EncoderSpec {
    /// A 3×3 stem and `blocks` residual blocks, doubling the width and halving the size after the first.
    SmallCnn {
        /// Channels of the first block.
        width: u32,
        /// Residual blocks.
        blocks: u32,
    },
    /// ResNet-18 (He et al. 2016).
    Resnet18 {
        /// First layers.
        stem: Stem,
    },
    /// ResNet-50 (He et al. 2016), stride in the 3×3 convolution as in torchvision.
    Resnet50 {
        /// First layers.
        stem: Stem,
    },
}

impl EncoderSpec {
    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        match self {
            EncoderSpec::SmallCnn { width, blocks } => (*width as usize) << blocks.saturating_sub(1),
            EncoderSpec::Resnet18 { .. } => 512,
            EncoderSpec::Resnet50 { .. } => 2048,
        }
    }
}

/// The first layers of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stem {
    /// 3×3, stride 1, no pooling: for small images (SimCLR B.9).
    #[serde(rename = "3x3")]
    Small,
    /// 7×7, stride 2, and 3×3 max pooling of stride 2: for large images.
    #[serde(rename = "7x7")]
    Large,
}

/// How gradients move weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerSpec {
    /// Stochastic gradient descent with momentum, dampening 0 as in PyTorch.
    Sgd {
        /// Momentum; 0 for none.
        momentum: f64,
        /// L2 penalty added to the gradient of weights (not of biases and normalisation).
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015), betas 0.9 and 0.999, epsilon 1e-8.
    Adam {
        /// L2 penalty added to the gradient of weights (not of biases and normalisation).
        weight_decay: f64,
    },
}

/// The learning rate as a function of the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LrSpec {
    /// The same rate at every step.
    Constant {
        /// The rate.
        base: f64,
    },
    /// Linear warm-up from 0, then half a cosine to 0 (SimCLR's form).
    Cosine {
        /// The peak rate.
        base: f64,
        /// Length of the warm-up in epochs.
        warmup_epochs: f64,
    },
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Passes over the stage's training images: smaller fractions take fewer steps.
    Epochs(u32),
    /// Optimizer steps: the same for every fraction.
    Steps(u64),
}

/// Training hyper-parameters that pretext and downstream stages share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// How long.
    pub budget: Budget,
    /// Images per step (before a method makes several views of each).
    pub batch: u32,
    /// Optimizer.
    pub optimizer: OptimizerSpec,
    /// Learning rate.
    pub lr: LrSpec,
}

/// What a pretext stage predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PretextTask {
    /// Four rotations of one pad-crop-flip-augmented image.
    Rotation {
        /// Crop and flip before the rotations.
        augment: CropFlip,
    },
    /// The same with an own colour jitter for each rotated copy.
    RotationJitter {
        /// Crop and flip before the rotations.
        augment: CropFlip,
        /// Strength of the colour jitter (SimCLR's s).
        strength: f32,
    },
    /// NT-Xent over two views.
    Simclr {
        /// Softmax temperature.
        temperature: f32,
        /// Output length of the projection head.
        projection: u32,
        /// Strength of the colour jitter (s).
        strength: f32,
        /// Smallest area of the random crop, as a share of the image.
        min_crop: f32,
        /// Whether views are mirrored at random.
        flip: bool,
    },
}

impl PretextTask {
    /// Network inputs made of each training image.
    pub fn views(&self) -> u64 {
        match self {
            PretextTask::Rotation { .. } | PretextTask::RotationJitter { .. } => 4,
            PretextTask::Simclr { .. } => 2,
        }
    }

    /// Whether a last batch that is not full is left out: the number of negatives is part of
    /// SimCLR's loss, so its batches are all of one size.
    pub fn full_batches_only(&self) -> bool {
        matches!(self, PretextTask::Simclr { .. })
    }
}

/// Geometric augmentation of labelled images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropFlip {
    /// Pixels of zero padding on each side before a random crop of the original size.
    pub padding: u32,
    /// Whether images are mirrored at random.
    pub flip: bool,
}

/// Pretext training: learns an encoder without labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PretextSpec {
    /// Data.
    pub data: DataSpec,
    /// Images that train and validate.
    pub split: SplitSpec,
    /// Training seed.
    pub seed: u64,
    /// Network.
    pub encoder: EncoderSpec,
    /// What is predicted.
    pub task: PretextTask,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// What of the network downstream training moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownstreamMode {
    /// Encoder and head.
    FineTune,
    /// A linear head on features of the frozen encoder, in evaluation mode and without augmentation.
    Frozen,
}

/// Downstream training: learns the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownstreamSpec {
    /// Data.
    pub data: DataSpec,
    /// Images that train and validate.
    pub split: SplitSpec,
    /// Training seed.
    pub seed: u64,
    /// Network.
    pub encoder: EncoderSpec,
    /// The stage whose encoder is the start; `None` for training from scratch.
    pub pretext: Option<StageId>,
    /// What is trained.
    pub mode: DownstreamMode,
    /// Augmentation of training images (fine-tuning only).
    pub augment: CropFlip,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// Test evaluation of the model at the epoch of lowest validation loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestSpec {
    /// Data.
    pub data: DataSpec,
    /// Network.
    pub encoder: EncoderSpec,
    /// The stage whose selected model is tested.
    pub downstream: StageId,
}

/// A stage's resolved inputs: everything that determines its output, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum StageSpec {
    /// See [`PretextSpec`].
    Pretext(PretextSpec),
    /// See [`DownstreamSpec`].
    Downstream(DownstreamSpec),
    /// See [`TestSpec`].
    Test(TestSpec),
}

/// The kind of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    /// Pretext training.
    Pretext,
    /// Downstream training.
    Downstream,
    /// Test evaluation.
    Test,
}

impl StageKind {
    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            StageKind::Pretext => "pretext",
            StageKind::Downstream => "downstream",
            StageKind::Test => "test",
        }
    }
}

impl StageSpec {
    /// The stage's kind.
    pub fn kind(&self) -> StageKind {
        match self {
            StageSpec::Pretext(_) => StageKind::Pretext,
            StageSpec::Downstream(_) => StageKind::Downstream,
            StageSpec::Test(_) => StageKind::Test,
        }
    }

    /// The data that the stage reads.
    pub fn data(&self) -> &DataSpec {
        match self {
            StageSpec::Pretext(spec) => &spec.data,
            StageSpec::Downstream(spec) => &spec.data,
            StageSpec::Test(spec) => &spec.data,
        }
    }

    /// The stage whose output this one starts from.
    pub fn parent(&self) -> Option<StageId> {
        match self {
            StageSpec::Pretext(_) => None,
            StageSpec::Downstream(spec) => spec.pretext,
            StageSpec::Test(spec) => Some(spec.downstream),
        }
    }

    fn version(&self) -> u32 {
        match self {
            StageSpec::Pretext(_) | StageSpec::Downstream(_) => TRAINING_VERSION,
            StageSpec::Test(_) => EVALUATION_VERSION,
        }
    }
}

/// A stage as it is granted: the spec and how far it is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Resolved inputs.
    pub spec: StageSpec,
    /// The numbers of which class of device.
    pub class: NumericClass,
    /// Whole runs, or two steps to find mistakes. A rehearsal never shares results with a whole run.
    pub extent: Extent,
}

/// How much of a stage is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All of it.
    Whole,
    /// Two steps and one validation batch (`--smoke`).
    Smoke,
}

impl Stage {
    /// The stage's content hash: BLAKE3 of its canonical JSON (fields in declaration order) with the
    /// algorithm version.
    pub fn id(&self) -> StageId {
        let canonical = serde_json::to_vec(&(self.spec.version(), self))
            .expect("a stage has only string keys and finite numbers, which JSON can write");
        StageId(ContentHash::of(&canonical))
    }
}
