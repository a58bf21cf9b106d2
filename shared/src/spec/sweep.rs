//! The validated sweep, with every default filled in.

use serde::Serialize;

use crate::dataset::{DataSpec, DatasetFacts, Fit, Normalize, Source};
use crate::device::NumericClass;
use crate::ids::WeightsHash;
use crate::split::Fraction;
use crate::stage::{
    DownstreamHead, DownstreamMode, EncoderSpec, KnnSpec, LabelledView, Method, PretextImages, PretextTask, StageKind,
    TrainSpec,
};
use crate::sweep::CellKey;
use crate::trainer::CheckpointPolicy;

/// A validated sweep file. The order of keys in the file has no effect here; the order of axis values is kept, because
/// tables are printed in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// Name.
    pub name: String,
    /// The source of the images.
    pub source: Source,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// How pixel values become network inputs.
    pub normalize: Normalize,
    /// How pictures that are not square become square.
    #[serde(skip_serializing_if = "Fit::is_default")]
    pub fit: Fit,
    /// The separate data set for pretext training, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretext_dataset: Option<PretextDataset>,
    /// Network.
    pub encoder: EncoderSpec,
    /// The weights file that encoders start from; `None` for initial weights drawn from the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<InitialWeights>,
    /// Axis: methods.
    pub methods: Vec<Method>,
    /// Axis: label fractions.
    pub fractions: Vec<Fraction>,
    /// Axis: names of the learning-rate policies.
    pub policies: Vec<String>,
    /// Axis: seeds.
    pub seeds: Vec<SeedPair>,
    /// The training of each method under each policy.
    pub recipes: Vec<Recipe>,
    /// Cells that are excluded.
    pub exclude: Vec<Exclusion>,
    /// Most stages of this sweep that run at a time; changes no result.
    pub max_parallel: Option<u32>,
    /// Sweeps of a higher priority get free slots first; from -10 to 10. Changes no result.
    pub priority: i8,
    /// When checkpoints are written; changes no result.
    pub checkpoint: CheckpointPolicy,
    /// The numeric class, if the file gives it.
    pub numeric: Option<NumericClass>,
}

/// A separate data set for pretext training. Encoders learn from its training images, and are then trained on the
/// sweep's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretextDataset {
    /// The source of the images.
    pub source: Source,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// How pixel values become network inputs.
    pub normalize: Normalize,
    /// How pictures that are not square become square.
    #[serde(skip_serializing_if = "Fit::is_default")]
    pub fit: Fit,
}

/// A file of weights that encoders start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitialWeights {
    /// Relative to the worker's data root; changes no result.
    pub path: String,
    /// Hash of its content.
    pub sha256: WeightsHash,
}

/// A value of the seed axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeedPair {
    /// Training seed: weights, order, augmentation. Names the cell.
    pub seed: u64,
    /// Seed of label fractions and validation images; equal to `seed` unless `split_seeds` is given.
    pub split: u64,
}

/// The training of one method under one learning-rate policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// Name of the policy.
    pub policy: String,
    /// Method.
    pub method: Method,
    /// Pretext training; `None` for a method without.
    pub pretext: Option<PretextRecipe>,
    /// Downstream training.
    pub downstream: DownstreamRecipe,
}

/// The images that pretext training uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PretextData {
    /// The images of the cell's own fraction.
    Fraction,
    /// All training images; all fractions then share the stage.
    All,
}

/// Pretext training, without data, network and seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretextRecipe {
    /// The images that it uses.
    pub data: PretextData,
    /// The task that it learns.
    pub task: PretextTask,
    /// The images that it is shown.
    pub images: PretextImages,
    /// The monitor of its features, if any.
    pub knn: Option<KnnSpec>,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// Downstream training, without data, network, seed and parent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DownstreamRecipe {
    /// The parts that are trained.
    pub mode: DownstreamMode,
    /// The head.
    pub head: DownstreamHead,
    /// The encoder; it may end after a block of the sweep's encoder.
    pub encoder: EncoderSpec,
    /// Augmentation; none for a frozen encoder.
    pub augment: LabelledView,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// Excludes the cells that have all the given values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Exclusion {
    /// Method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Label fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
    /// Name of the learning-rate policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<String>,
    /// Seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Exclusion {
    /// Returns whether `cell` is excluded.
    pub fn matches(&self, cell: &CellKey) -> bool {
        self.method.is_none_or(|method| method == cell.method)
            && self.fraction.is_none_or(|fraction| fraction == cell.fraction)
            && self.lr.as_ref().is_none_or(|lr| *lr == cell.lr)
            && self.seed.is_none_or(|seed| seed == cell.seed)
    }
}

impl PretextDataset {
    /// Returns what pretext stages read, for the data that `facts` describes.
    pub fn data(&self, facts: &DatasetFacts) -> DataSpec {
        DataSpec {
            fingerprint: facts.fingerprint,
            classes: facts.classes.len() as u32,
            image_size: self.image_size,
            normalize: self.normalize.clone(),
            test_fraction: self.source.test_fraction(),
            fit: self.fit,
        }
    }
}

impl Sweep {
    /// Returns the cells that are not excluded, in the order policy, method, fraction, seed.
    pub fn cells(&self) -> impl Iterator<Item = (CellKey, &Recipe, SeedPair)> {
        self.recipes.iter().flat_map(move |recipe| {
            self.fractions.iter().flat_map(move |fraction| {
                self.seeds.iter().filter_map(move |pair| {
                    let lr = recipe.policy.clone();
                    let key = CellKey { method: recipe.method, fraction: *fraction, lr, seed: pair.seed };
                    let excluded = self.exclude.iter().any(|exclusion| exclusion.matches(&key));
                    (!excluded).then_some((key, recipe, *pair))
                })
            })
        })
    }

    /// Returns the source for stages of a kind.
    pub fn source_of(&self, kind: StageKind) -> &Source {
        match (&self.pretext_dataset, kind) {
            (Some(other), StageKind::Pretext) => &other.source,
            _ => &self.source,
        }
    }

    /// Returns all sources, each once.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.source).chain(self.pretext_dataset.iter().map(|other| &other.source))
    }

    /// Returns what the stages of this sweep read, for the data that `facts` describes.
    pub fn data(&self, facts: &DatasetFacts) -> DataSpec {
        DataSpec {
            fingerprint: facts.fingerprint,
            classes: facts.classes.len() as u32,
            image_size: self.image_size,
            normalize: self.normalize.clone(),
            test_fraction: self.source.test_fraction(),
            fit: self.fit,
        }
    }
}
