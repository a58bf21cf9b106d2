//! The time that a planned sweep will take, from the times of finished stages of the same shape.

use std::collections::{BTreeSet, HashMap};

use pretext_engine::{Pace, StageRecord};
use pretext_proto::v1 as pb;
use pretext_shared::ids::StageId;
use pretext_shared::plan::Plan;
use pretext_shared::stage::{Shape, Stage};
use pretext_shared::sweep::Cost;

/// The times of finished stages.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    /// Of stages of one shape that see the same number of images: how many, and milliseconds in all.
    same: HashMap<(Shape, u64, u64), (u64, u64)>,
    /// Of stages of one shape: images, and milliseconds in all.
    images: HashMap<Shape, (u64, u64)>,
}

/// Returns the images that decide how long a stage takes: those of its training, or of its test.
fn images(cost: &Cost) -> u64 {
    if cost.steps > 0 { cost.images_seen } else { cost.train_images }
}

impl Measures {
    /// Adds finished stages that are like the stage of this record.
    pub(crate) fn add(&mut self, record: &StageRecord, pace: Pace) {
        let Some(shape) = Shape::of(&record.stage) else { return };
        let (count, ms) = (pace.done as u64, pace.done_ms);
        let cost = &record.cost;
        let same = self.same.entry((shape, images(cost), cost.train_images)).or_default();
        *same = (same.0 + count, same.1 + ms);
        let all = self.images.entry(shape).or_default();
        *all = (all.0 + images(cost) * count, all.1 + ms);
    }

    /// Returns the time of a stage, in milliseconds.
    fn time(&self, stage: &Stage, cost: &Cost) -> Option<f64> {
        let shape = Shape::of(stage)?;
        if let Some((count, ms)) = self.same.get(&(shape, images(cost), cost.train_images)) {
            return Some(*ms as f64 / (*count).max(1) as f64);
        }
        let (seen, ms) = self.images.get(&shape).filter(|(seen, _)| *seen > 0)?;
        Some(*ms as f64 / *seen as f64 * images(cost) as f64)
    }

    /// Returns how long the stages of a plan that have no result will take on so many slots. No chain of dependent
    /// stages is shorter than the sum of its stages.
    pub(crate) fn estimate(&self, plan: &Plan, cached: &BTreeSet<StageId>, slots: usize) -> pb::Estimate {
        let mut times: HashMap<StageId, f64> = HashMap::new();
        let mut unknown_stages = 0;
        for stage in plan.stages.iter().filter(|stage| !cached.contains(&stage.id)) {
            match self.time(&stage.stage, &stage.cost) {
                Some(ms) => drop(times.insert(stage.id, ms)),
                None => unknown_stages += 1,
            }
        }
        let work: f64 = times.values().sum();
        let chain = |cell: &pretext_shared::sweep::Cell| cell.stages().filter_map(|id| times.get(&id)).sum();
        let longest = plan.cells.iter().map(chain).fold(0.0, f64::max);
        let known_ms = if slots == 0 { 0.0 } else { longest.max(work / slots as f64) };
        pb::Estimate {
            known_ms: known_ms as u64,
            slot_ms: work as u64,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            unknown_stages,
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_engine::fixtures::{SWEEP, submission};
    use pretext_engine::submission::{self as planning, Announced};
    use pretext_shared::device::NumericClass;
    use pretext_shared::stage::{Extent, StageKind};

    use super::*;

    /// Each image of training costs 2 ms, and each test 500 ms.
    fn measured(text: &str, but: Option<StageKind>) -> Measures {
        let mut measures = Measures::default();
        for (_, record) in submission(text, 1).stages {
            let kind = record.stage.spec.kind();
            if but == Some(kind) {
                continue;
            }
            let done_ms = if kind == StageKind::Test { 500 } else { record.cost.images_seen * 2 };
            let pace = Pace { done: 1, done_images: record.cost.images_seen, done_ms, ..Pace::default() };
            measures.add(&record, pace);
        }
        measures
    }

    fn plan(text: &str, extent: Extent) -> Plan {
        planning::plan(text, extent, &Announced::new(), NumericClass::Cpu).expect("a good sweep").plan
    }

    #[test]
    fn a_sweep_takes_what_earlier_stages_like_its_own_took() {
        let plan = plan(SWEEP, Extent::Whole);
        let tests = plan.stages.iter().filter(|stage| stage.stage.spec.kind() == StageKind::Test).count() as u64;
        let all = plan.sharing.after.images_seen * 2 + tests * 500;
        let estimate = measured(SWEEP, None).estimate(&plan, &BTreeSet::new(), 1);
        assert_eq!((estimate.known_ms, estimate.slot_ms, estimate.unknown_stages), (all, all, 0));
        let wide = measured(SWEEP, None).estimate(&plan, &BTreeSet::new(), 1_000);
        let chain = |cell: &pretext_shared::sweep::Cell| -> u64 {
            let cost =
                |id: StageId| plan.stages.iter().find(|stage| stage.id == id).map(|stage| stage.cost.images_seen);
            500 + cell.stages().filter_map(cost).sum::<u64>() * 2
        };
        assert_eq!(Some(wide.known_ms), plan.cells.iter().map(chain).max(), "the longest chain");
        // Twice the epochs is twice the training.
        let long = SWEEP.replace("epochs: ", "epochs: 2");
        let longer = self::plan(&long, Extent::Whole);
        let estimate = measured(SWEEP, None).estimate(&longer, &BTreeSet::new(), 1);
        assert_eq!(estimate.slot_ms, longer.sharing.after.images_seen * 2 + tests * 500);
    }

    #[test]
    fn what_no_stage_has_shown_is_unknown_and_what_is_cached_costs_nothing() {
        let whole = plan(SWEEP, Extent::Whole);
        let tests = whole.stages.iter().filter(|stage| stage.stage.spec.kind() == StageKind::Test).count() as u32;
        let estimate = measured(SWEEP, Some(StageKind::Test)).estimate(&whole, &BTreeSet::new(), 1);
        assert_eq!(estimate.unknown_stages, tests);
        let nothing = Measures::default().estimate(&whole, &BTreeSet::new(), 1);
        assert_eq!((nothing.known_ms, nothing.unknown_stages as usize), (0, whole.stages.len()));
        let all = whole.stages.iter().map(|stage| stage.id).collect();
        assert_eq!(Measures::default().estimate(&whole, &all, 1).unknown_stages, 0);
        // Another network, and a rehearsal.
        let other = SWEEP.replace("width: 4", "width: 8");
        assert_ne!(other, SWEEP);
        assert_eq!(measured(SWEEP, None).estimate(&plan(&other, Extent::Whole), &BTreeSet::new(), 1).slot_ms, 0);
        let smoke = measured(SWEEP, None).estimate(&plan(SWEEP, Extent::Smoke), &BTreeSet::new(), 1);
        assert_eq!(smoke.slot_ms, 0, "two steps are another thing");
    }
}
