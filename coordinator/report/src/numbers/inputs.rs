//! Everything that stages read besides the images of the sweep's data set, absence included.

use std::collections::BTreeSet;

use pretext_shared::dataset::Source;
use pretext_shared::ids::{Fingerprint, WeightsHash};
use pretext_shared::stage::{Method, StageKind};
use pretext_shared::sweep::{StageView, SweepView};

/// The inputs of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Initial weights of encoders.
    pub weights: InitialWeights,
    /// The separate data set for pretext training, if any.
    pub pretext_data: Option<PretextData>,
    /// Images that belong together; `None` if the kind of data set cannot name them.
    pub data_groups: Option<DataGroups>,
}

/// The initial weights of encoders.
#[derive(Debug, Clone, PartialEq)]
pub enum InitialWeights {
    /// Drawn from the seed.
    Random,
    /// Read from a file. A sweep has at most one.
    File {
        /// SHA-256 of the file.
        sha256: WeightsHash,
        /// Methods of the sweep that start from random weights all the same.
        except: BTreeSet<Method>,
    },
}

/// A separate data set for pretext training.
#[derive(Debug, Clone, PartialEq)]
pub struct PretextData {
    /// Its key.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Number of its training images.
    pub images: u64,
    /// Key of the sweep's own data set.
    pub own: String,
}

/// Images that belong together, such as those of one patient or slide. Every split keeps a data group on one side.
#[derive(Debug, Clone, PartialEq)]
pub enum DataGroups {
    /// The data set could name groups and names none.
    Unnamed,
    /// The data set names its groups.
    Named {
        /// Number of groups.
        count: u64,
        /// The origin of the names.
        source: GroupSource,
    },
}

/// The origin of the names of data groups.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupSource {
    /// `groups.csv` beside the images.
    List,
    /// The column `group` of the list that names the images.
    Column,
    /// A pattern over file names.
    FileNames(String),
}

impl Inputs {
    /// Returns the inputs of `view`.
    pub fn of(view: &SweepView) -> Self {
        Self { weights: weights(view), pretext_data: pretext_data(view), data_groups: data_groups(view) }
    }
}

fn weights(view: &SweepView) -> InitialWeights {
    let Some(sha256) = view.stages.values().find_map(|stage| stage.stage.spec.weights()) else {
        return InitialWeights::Random;
    };
    // Stages with a parent start from its encoder, which started from the file.
    let methods = view.cells.iter().map(|cell| cell.key.method);
    InitialWeights::File { sha256, except: methods.filter(|method| !method.starts_from_weights()).collect() }
}

fn pretext_data(view: &SweepView) -> Option<PretextData> {
    let other = view.provenance.pretext_dataset.as_ref()?;
    let images = |stage: &StageView| stage.cost.train_images + stage.cost.validation_images;
    let mut stages = view.stages.values().filter(|stage| stage.stage.spec.kind() == StageKind::Pretext);
    Some(PretextData {
        key: other.key.clone(),
        fingerprint: other.fingerprint,
        images: stages.next().map_or(0, images),
        own: view.provenance.dataset.key.clone(),
    })
}

/// Only folders and lists can name data groups.
fn data_groups(view: &SweepView) -> Option<DataGroups> {
    let facts = &view.provenance.dataset;
    if facts.groups.is_empty() {
        let names_files = ["image-folder:", "list:"].iter().any(|kind| facts.key.starts_with(kind));
        return names_files.then_some(DataGroups::Unnamed);
    }
    let source = match facts.key.parse::<Source>().as_ref().map(Source::groups) {
        Ok(Some(pattern)) => GroupSource::FileNames(pattern.to_string()),
        Ok(None) if facts.key.starts_with("list:") => GroupSource::Column,
        Ok(None) | Err(_) => GroupSource::List,
    };
    Some(DataGroups::Named { count: facts.groups.len() as u64, source })
}
