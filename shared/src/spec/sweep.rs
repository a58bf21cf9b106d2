//! The validated sweep: everything resolved, nothing left to default.

use serde::Serialize;

use crate::dataset::{DataSpec, DatasetFacts, Normalize, Source};
use crate::device::NumericClass;
use crate::ids::WeightsHash;
use crate::split::Fraction;
use crate::stage::{
    DownstreamHead, DownstreamMode, EncoderSpec, KnnSpec, LabelledView, Method, PretextImages, PretextTask, StageKind,
    TrainSpec,
};
use crate::sweep::CellKey;
use crate::trainer::CheckpointPolicy;

/// A sweep file that has been read and found good. The order of keys in the file leaves no trace here;
/// the order of axis values does, because tables are printed in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// Name.
    pub name: String,
    /// Where the images are.
    pub source: Source,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// How pixel values become network inputs.
    pub normalize: Normalize,
    /// The data set that pretext training reads, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretext_dataset: Option<PretextDataset>,
    /// Network.
    pub encoder: EncoderSpec,
    /// The file that encoders start from; `None` for initial weights of the seed.
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
    /// What is trained and how, for each policy and within it for each method.
    pub recipes: Vec<Recipe>,
    /// Cells that are left out.
    pub exclude: Vec<Exclusion>,
    /// The most stages of this sweep that run at a time; changes no result.
    pub max_parallel: Option<u32>,
    /// When checkpoints are written; changes no result.
    pub checkpoint: CheckpointPolicy,
    /// The numeric class, where the file says it.
    pub numeric: Option<NumericClass>,
}

/// A data set for pretext training alone: encoders learn from its training images, and are then trained on the sweep's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretextDataset {
    /// Where the images are.
    pub source: Source,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// How pixel values become network inputs.
    pub normalize: Normalize,
}

/// A file of weights that encoders start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitialWeights {
    /// Relative to the worker's data root; changes no result.
    pub path: String,
    /// What is in it.
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

/// Which images pretext training sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PretextData {
    /// The cell's own images.
    Fraction,
    /// All training images; then all fractions share the stage.
    All,
}

/// Pretext training, all but data, network and seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretextRecipe {
    /// Images that it sees.
    pub data: PretextData,
    /// What is predicted.
    pub task: PretextTask,
    /// The images that it is shown.
    pub images: PretextImages,
    /// The monitor of its features, where there is one.
    pub knn: Option<KnnSpec>,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// Downstream training, all but data, network, seed and parent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DownstreamRecipe {
    /// What is trained.
    pub mode: DownstreamMode,
    /// The head.
    pub head: DownstreamHead,
    /// The encoder, which may end after a block of the sweep's.
    pub encoder: EncoderSpec,
    /// Augmentation; none for a frozen encoder.
    pub augment: LabelledView,
    /// Hyper-parameters.
    pub train: TrainSpec,
}

/// Leaves out the cells that have all the given values.
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
    /// Whether `cell` is left out.
    pub fn matches(&self, cell: &CellKey) -> bool {
        self.method.is_none_or(|method| method == cell.method)
            && self.fraction.is_none_or(|fraction| fraction == cell.fraction)
            && self.lr.as_ref().is_none_or(|lr| *lr == cell.lr)
            && self.seed.is_none_or(|seed| seed == cell.seed)
    }
}

impl PretextDataset {
    /// What pretext stages read, for the data that `facts` describes.
    pub fn data(&self, facts: &DatasetFacts) -> DataSpec {
        DataSpec {
            fingerprint: facts.fingerprint,
            classes: facts.classes.len() as u32,
            image_size: self.image_size,
            normalize: self.normalize.clone(),
            test_fraction: self.source.test_fraction(),
        }
    }
}

impl Sweep {
    /// The sweep's cells that are not excluded, in the order policy, method, fraction, seed.
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

    /// The source of the stages of a kind.
    pub fn source_of(&self, kind: StageKind) -> &Source {
        match (&self.pretext_dataset, kind) {
            (Some(other), StageKind::Pretext) => &other.source,
            _ => &self.source,
        }
    }

    /// All sources, each once.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.source).chain(self.pretext_dataset.iter().map(|other| &other.source))
    }

    /// What the stages of this sweep read, for the data that `facts` describes.
    pub fn data(&self, facts: &DatasetFacts) -> DataSpec {
        DataSpec {
            fingerprint: facts.fingerprint,
            classes: facts.classes.len() as u32,
            image_size: self.image_size,
            normalize: self.normalize.clone(),
            test_fraction: self.source.test_fraction(),
        }
    }
}
