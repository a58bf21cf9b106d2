//! Turns a validated sweep and the facts of its data set into cells and stages named by content hashes.
//!
//! Cells that need the same work share it automatically: a stage's id is the hash of its inputs, so equal inputs give
//! the same stage.

mod cost;
mod counts;
mod error;
mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{DataSpec, SweepFacts};
use crate::device::NumericClass;
use crate::ids::{ContentHash, StageId, SweepId};
use crate::spec::{PretextData, Recipe, SeedPair, Sweep};
use crate::split::{Fraction, SplitSpec};
use crate::stage::{DownstreamSpec, Extent, PretextSpec, Stage, StageSpec, TestSpec};
use crate::sweep::{Cell, CellKey, Cost};

use counts::Counts;
pub use error::{PlanError, PlanErrors};

/// The plan of a sweep on given data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The sweep's id, from its name and the hash of its cells: the same cells are the same sweep.
    pub sweep: SweepId,
    /// Numeric class of all stages.
    pub class: NumericClass,
    /// Whether this is a rehearsal.
    pub extent: Extent,
    /// Cells, in the order policy, method, fraction, seed.
    pub cells: Vec<Cell>,
    /// Stages, each once, parents before children.
    pub stages: Vec<PlannedStage>,
    /// The effect of sharing.
    pub sharing: Sharing,
}

/// A stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// Its content hash.
    pub id: StageId,
    /// What to run.
    pub stage: Stage,
    /// What it costs.
    pub cost: Cost,
    /// How many cells need it.
    pub cells: usize,
}

/// The cost of a sweep without and with sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sharing {
    /// The cost if each cell ran its own stages.
    pub before: Total,
    /// The cost with shared stages.
    pub after: Total,
}

impl Sharing {
    /// Returns the optimizer steps that sharing saves.
    pub fn steps_saved(&self) -> u64 {
        self.before.steps - self.after.steps
    }
}

/// A sum over stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// Stages.
    pub stages: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Images that enter the network in training, each view counted.
    pub images_seen: u64,
}

impl Total {
    fn add(&mut self, cost: &Cost, times: u64) {
        self.stages += times;
        self.steps = self.steps.saturating_add(cost.steps.saturating_mul(times));
        self.images_seen = self.images_seen.saturating_add(cost.images_seen.saturating_mul(times));
    }
}

impl Plan {
    /// Returns the stage with this id, by linear search.
    pub fn stage(&self, id: StageId) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.id == id)
    }
}

/// Expands `sweep` on the data that `facts` describes. Pure: the same arguments give the same plan on every machine.
///
/// # Errors
/// All problems with the data, together.
pub fn expand<'a>(
    sweep: &Sweep,
    facts: impl Into<SweepFacts<'a>>,
    class: NumericClass,
    extent: Extent,
) -> Result<Plan, PlanErrors> {
    let facts = facts.into();
    let counts = Counts::check(sweep, facts)?;
    let mut stages = Stages::default();
    let data = sweep.data(facts.dataset);
    let pretext_data = match (&sweep.pretext_dataset, facts.pretext) {
        (Some(other), Some(facts)) => other.data(facts),
        _ => data.clone(),
    };
    let expansion = Expansion { sweep, data, pretext_data, counts: &counts, class, extent };
    let cells: Vec<Cell> =
        sweep.cells().map(|(key, recipe, seeds)| expansion.cell(&mut stages, key, recipe, seeds)).collect();

    let mut sharing = Sharing::default();
    for stage in &stages.list {
        sharing.before.add(&stage.cost, stage.cells as u64);
        sharing.after.add(&stage.cost, 1);
    }
    // The cells name their stages, and the stages hash every input. So the hash contains everything that changes a
    // result, and nothing that does not (paths, limits, the spelling of the file).
    let resolved = serde_json::to_vec(&cells).expect("cells have only string keys and finite numbers");
    let id = SweepId::new(&sweep.name, ContentHash::of(&resolved));
    Ok(Plan { sweep: id, class, extent, cells, stages: stages.list, sharing })
}

/// Stages in the order in which they were first needed.
#[derive(Default)]
struct Stages {
    list: Vec<PlannedStage>,
    places: BTreeMap<StageId, usize>,
}

impl Stages {
    fn add(&mut self, stage: Stage, cost: impl FnOnce() -> Cost) -> StageId {
        let id = stage.id();
        let place = *self.places.entry(id).or_insert_with(|| {
            self.list.push(PlannedStage { id, stage, cost: cost(), cells: 0 });
            self.list.len() - 1
        });
        self.list[place].cells += 1;
        id
    }
}

struct Expansion<'a> {
    sweep: &'a Sweep,
    data: DataSpec,
    /// Returns the separate data for pretext training, if the sweep names any.
    pretext_data: DataSpec,
    counts: &'a Counts,
    class: NumericClass,
    extent: Extent,
}

impl Expansion<'_> {
    fn cell(&self, stages: &mut Stages, key: CellKey, recipe: &Recipe, seeds: SeedPair) -> Cell {
        let split = SplitSpec { seed: seeds.split, fraction: key.fraction };
        let weights = self.sweep.weights.as_ref().filter(|_| key.method.starts_from_weights()).map(|file| file.sha256);
        let pretext = recipe.pretext.as_ref().map(|pretext| {
            let split = SplitSpec { fraction: pretext_fraction(pretext.data, key.fraction), ..split };
            let spec = PretextSpec {
                data: self.pretext_data.clone(),
                split,
                seed: seeds.seed,
                encoder: self.sweep.encoder.clone(),
                task: pretext.task.clone(),
                images: pretext.images,
                knn: pretext.knn,
                weights,
                train: pretext.train.clone(),
            };
            let cost = || cost::pretext(self.counts.pretext_parts(split), pretext, self.extent);
            stages.add(self.stage(StageSpec::Pretext(spec)), cost)
        });
        let spec = DownstreamSpec {
            data: self.data.clone(),
            split,
            seed: seeds.seed,
            encoder: recipe.downstream.encoder.clone(),
            pretext,
            // The pretext stage has already loaded the weights.
            weights: weights.filter(|_| pretext.is_none()),
            mode: recipe.downstream.mode,
            head: recipe.downstream.head,
            augment: recipe.downstream.augment,
            train: recipe.downstream.train.clone(),
        };
        let cost = || cost::downstream(self.counts.parts(split), &recipe.downstream, self.extent);
        let downstream = stages.add(self.stage(StageSpec::Downstream(spec)), cost);
        let encoder = recipe.downstream.encoder.clone();
        let spec = TestSpec { data: self.data.clone(), encoder, downstream };
        let test = stages.add(self.stage(StageSpec::Test(spec)), || cost::test(self.counts.test));
        Cell { key, pretext, downstream, test, mode: recipe.downstream.mode }
    }

    fn stage(&self, spec: StageSpec) -> Stage {
        Stage { spec, class: self.class, extent: self.extent }
    }
}

/// Returns the share of the training images that pretext training of a cell at `fraction` uses.
fn pretext_fraction(data: PretextData, fraction: Fraction) -> Fraction {
    match data {
        PretextData::Fraction => fraction,
        PretextData::All => Fraction::ALL,
    }
}
