//! Stages: units of work named by a content hash of everything that determines their output.

mod extent;
mod shape;
mod task;
mod train;

use serde::{Deserialize, Serialize};

use crate::dataset::DataSpec;
use crate::device::NumericClass;
use crate::ids::{ContentHash, StageId, WeightsHash};
use crate::split::SplitSpec;

pub use crate::methods::about::{LastBatch, PretextImages};
pub use crate::methods::views::{Chances, CropFlip};
pub use crate::methods::{Method, PretextTask};
pub use shape::Shape;
pub use task::{KnnSpec, LabelledView, ResizedFlip};
pub use train::{Budget, CycleShape, DecayOn, LrSpec, OptimizerSpec, TrainSpec};

/// Raised by hand when a change of code changes the results of pretext or downstream training.
pub const TRAINING_VERSION: u32 = 2;
/// Raised by hand when a change of code changes the results of evaluation.
pub const EVALUATION_VERSION: u32 = 1;

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
    /// RotNet's Network in Network (Gidaris et al. 2018): blocks of three convolutions, 192 channels (96 after the first).
    Nin {
        /// Blocks, at least 1.
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
    /// Returns the length of the feature vector.
    pub fn features(&self) -> usize {
        match self {
            EncoderSpec::SmallCnn { width, blocks } => (*width as usize) << blocks.saturating_sub(1),
            EncoderSpec::Nin { blocks: 0 | 1 } => 96,
            EncoderSpec::Nin { .. } => 192,
            EncoderSpec::Resnet18 { .. } => 512,
            EncoderSpec::Resnet50 { .. } => 2048,
        }
    }

    /// Returns the encoder that ends after block `block` (from 1) of this one; `None` if there is no such block.
    pub fn until(&self, block: u32) -> Option<Self> {
        match self {
            EncoderSpec::SmallCnn { width, blocks } => {
                (1..=*blocks).contains(&block).then_some(EncoderSpec::SmallCnn { width: *width, blocks: block })
            }
            EncoderSpec::Nin { blocks } => (1..=*blocks).contains(&block).then_some(EncoderSpec::Nin { blocks: block }),
            EncoderSpec::Resnet18 { .. } | EncoderSpec::Resnet50 { .. } => None,
        }
    }

    /// Returns the height and width of the smallest maps that it normalises, for images of `size` pixels. Every layer of
    /// stride 2 halves the size and rounds up.
    pub fn smallest_maps(&self, size: u32) -> u32 {
        let halvings = match self {
            EncoderSpec::SmallCnn { blocks, .. } => blocks.saturating_sub(1),
            // Pooling follows the first two blocks.
            EncoderSpec::Nin { blocks } => blocks.saturating_sub(1).min(2),
            EncoderSpec::Resnet18 { stem: Stem::Small } | EncoderSpec::Resnet50 { stem: Stem::Small } => 3,
            EncoderSpec::Resnet18 { stem: Stem::Large } | EncoderSpec::Resnet50 { stem: Stem::Large } => 5,
        };
        (0..halvings).fold(size, |size, _| size.div_ceil(2))
    }

    /// Returns whether this encoder is `whole`, or ends after one of its blocks.
    pub fn begins(&self, whole: &Self) -> bool {
        match (self, whole) {
            (EncoderSpec::SmallCnn { blocks, .. }, EncoderSpec::SmallCnn { .. })
            | (EncoderSpec::Nin { blocks }, EncoderSpec::Nin { .. }) => whole.until(*blocks).as_ref() == Some(self),
            _ => self == whole,
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
    /// The task that is learned.
    pub task: PretextTask,
    /// The images that it is shown.
    #[serde(default, skip_serializing_if = "PretextImages::is_default")]
    pub images: PretextImages,
    /// The monitor of its features, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<KnnSpec>,
    /// The file that the encoder's weights are read from; `None` for initial weights drawn from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsHash>,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// The part of the network that downstream training changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownstreamMode {
    /// Encoder and head.
    FineTune,
    /// A head on features of the frozen encoder, in evaluation mode and without augmentation.
    Frozen,
}

impl DownstreamMode {
    /// Returns the mode as written in a sweep file.
    pub fn as_str(self) -> &'static str {
        match self {
            DownstreamMode::FineTune => "fine-tune",
            DownstreamMode::Frozen => "frozen",
        }
    }
}

/// The shape of the head that learns the classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownstreamHead {
    /// One linear layer.
    #[default]
    Linear,
    /// Two layers with a ReLU between; the hidden layer has the length of the feature vector.
    Mlp,
}

impl DownstreamHead {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
    /// Network; it may end after a block of the pretext stage's encoder.
    pub encoder: EncoderSpec,
    /// The stage whose encoder is the starting point; `None` for initial weights.
    pub pretext: Option<StageId>,
    /// For a stage without a pretext stage, the file that the encoder's weights are read from; `None` for initial
    /// weights drawn from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsHash>,
    /// The parts that are trained.
    pub mode: DownstreamMode,
    /// The head.
    #[serde(default, skip_serializing_if = "DownstreamHead::is_default")]
    pub head: DownstreamHead,
    /// Augmentation of training images (fine-tuning only).
    pub augment: LabelledView,
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
    /// Returns the kind as written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            StageKind::Pretext => "pretext",
            StageKind::Downstream => "downstream",
            StageKind::Test => "test",
        }
    }
}

impl StageSpec {
    /// Returns the stage's kind.
    pub fn kind(&self) -> StageKind {
        match self {
            StageSpec::Pretext(_) => StageKind::Pretext,
            StageSpec::Downstream(_) => StageKind::Downstream,
            StageSpec::Test(_) => StageKind::Test,
        }
    }

    /// Returns the data that the stage reads.
    pub fn data(&self) -> &DataSpec {
        match self {
            StageSpec::Pretext(spec) => &spec.data,
            StageSpec::Downstream(spec) => &spec.data,
            StageSpec::Test(spec) => &spec.data,
        }
    }

    /// Returns the hyper-parameters of a training stage.
    pub fn train(&self) -> Option<&TrainSpec> {
        match self {
            StageSpec::Pretext(spec) => Some(&spec.train),
            StageSpec::Downstream(spec) => Some(&spec.train),
            StageSpec::Test(_) => None,
        }
    }

    /// Returns the file that the encoder's weights are read from.
    pub fn weights(&self) -> Option<WeightsHash> {
        match self {
            StageSpec::Pretext(spec) => spec.weights,
            StageSpec::Downstream(spec) => spec.weights,
            StageSpec::Test(_) => None,
        }
    }

    /// Returns the stage whose output this one starts from.
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

/// A stage as it is granted: its inputs, its class, and how much of it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Resolved inputs.
    pub spec: StageSpec,
    /// The numeric class of the device.
    pub class: NumericClass,
    /// A full run, or a rehearsal of two steps that finds mistakes. The two never share results.
    pub extent: Extent,
}

/// How much of a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All of it.
    Whole,
    /// Two steps and one validation batch (`--smoke`).
    Smoke,
}

impl Stage {
    /// Returns the stage's content hash: BLAKE3 of its canonical JSON (fields in declaration order) with the algorithm
    /// version.
    pub fn id(&self) -> StageId {
        let canonical = serde_json::to_vec(&(self.spec.version(), self))
            .expect("a stage has only string keys and finite numbers, which JSON can write");
        StageId(ContentHash::of(&canonical))
    }
}
