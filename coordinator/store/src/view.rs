//! Builds sweeps for readers: their states from the engine, with plans and points from the store.

use std::collections::BTreeMap;

use pretext_engine::{NoPlan, StageRecord, Standing, curve};
use pretext_shared::ids::StageId;
use pretext_shared::sweep::SweepView;

use crate::{Store, StoreError};

/// Returns the sweep, without points. Reads the store: not for threads that must not block.
pub fn view(store: &dyn Store, standing: Standing) -> Result<SweepView, StoreError> {
    let ids: Vec<StageId> = standing.stages.keys().copied().collect();
    of_plans(standing, store.plans(&ids)?)
}

/// Returns the same, from plans that were read before.
pub fn of_plans(standing: Standing, plans: BTreeMap<StageId, StageRecord>) -> Result<SweepView, StoreError> {
    standing.with_plans(plans).map_err(|NoPlan(stage)| missing(stage))
}

/// Reads the curves of `stages` into the view.
pub fn add_points(view: &mut SweepView, store: &dyn Store, stages: &[StageId]) -> Result<(), StoreError> {
    for id in stages {
        if let Some(stage) = view.stages.get_mut(id) {
            stage.points = curve(&store.points(*id)?, &store.grants(*id)?);
        }
    }
    Ok(())
}

/// Reads the curves of all stages into the view.
pub fn add_all_points(view: &mut SweepView, store: &dyn Store) -> Result<(), StoreError> {
    let all: Vec<StageId> = view.stages.keys().copied().collect();
    add_points(view, store, &all)
}

/// Returns the plan of one stage.
pub fn plan(store: &dyn Store, stage: StageId) -> Result<StageRecord, StoreError> {
    store.plans(&[stage])?.remove(&stage).ok_or_else(|| missing(stage))
}

fn missing(stage: StageId) -> StoreError {
    StoreError::Damaged { table: "stages", cause: NoPlan(stage).to_string() }
}
