//! The time that a sweep still needs, from the times that its stages took so far.
//!
//! Stages of one kind, method and label fraction take about the same time, so their mean is the forecast for those that
//! are left. If none of them has ended, a running one is extrapolated. If none runs, the time per image of other
//! fractions counts; for tests, the time of any test. Otherwise the time is unknown, and the forecast says so. The
//! slots that the sweep can use share the work, and no chain of dependent stages can be shorter than the sum of its
//! stages.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::stage::StageKind;

use super::facts::{Demand, Group};
use super::index::Pace;
use super::{Engine, Millis, Outline, State};

/// A running stage counts as a measure once this share of it is done.
const TELLING: f64 = 0.05;
/// Largest share of a stage that counts as done because of the time alone.
const NEARLY: f64 = 0.95;

/// The time that a sweep still needs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Forecast {
    /// The time that the stages need whose time is known.
    pub left_ms: f64,
    /// Stages whose time is not known: none like them has run.
    pub unknown: usize,
}

/// A running stage.
#[derive(Debug, Clone, Copy)]
struct Run {
    kind: StageKind,
    group: Group,
    /// The time since it got its slot; 0 if that is not known.
    ran_ms: f64,
    /// The time that it will take from its first step to its last, if its steps tell that already.
    whole_ms: Option<f64>,
    /// The share of its steps that is done; `None` for a stage without steps.
    done: Option<f64>,
}

type Paces = BTreeMap<(StageKind, Group), Pace>;

impl Engine {
    /// Returns the time that a sweep still needs; `None` if nothing is left, or if it has no slot.
    pub fn forecast(&self, sweep: &SweepId, now: Millis) -> Option<Forecast> {
        let index = self.table.index();
        let queue = index.queues.of(sweep)?;
        let paces = index.paces.of(sweep);
        if paces.values().all(|pace| pace.left == 0) {
            return None;
        }
        let mut demands: BTreeSet<&Demand> = queue.demands().collect();
        let mut runs = Vec::new();
        for entry in queue.running.iter().filter_map(|id| self.table.stages().get(id)) {
            demands.insert(&entry.demand);
            let (State::Leased(_), Some(need)) = (&entry.progress.state, entry.need_of(sweep)) else { continue };
            let (steps, step) = (entry.outline.cost.steps, entry.step);
            let ran_ms = entry.began.map_or(0.0, |(began, _)| now.saturating_sub(began) as f64);
            let taken = entry.began.map_or(0, |(_, resumed)| step.saturating_sub(resumed));
            let share = taken as f64 / steps.max(1) as f64;
            runs.push(Run {
                kind: entry.outline.kind,
                group: need.group,
                ran_ms,
                whole_ms: (share >= TELLING).then(|| ran_ms / share),
                done: (steps > 0).then(|| step.min(steps) as f64 / steps as f64),
            });
        }
        let slots = self.slots_of(&demands, now).max(queue.running.len());
        let slots = index.queues.share(sweep, slots);
        (slots > 0).then(|| forecast(&paces, &runs, slots))
    }

    /// Returns one finished stage of each kind, method and label fraction of a sweep, with how long those took.
    pub fn measures(&self, sweep: &SweepId) -> Vec<(StageId, Pace)> {
        let Some(entry) = self.table.sweeps().get(sweep) else { return Vec::new() };
        let mut paces = self.table.index().paces.of(sweep);
        paces.retain(|_, pace| pace.done > 0);
        let mut measures = Vec::with_capacity(paces.len());
        for id in &entry.stages {
            if paces.is_empty() {
                break;
            }
            let Some(stage) = self.table.stages().get(id) else { continue };
            let (State::Succeeded(_), Some(need)) = (&stage.progress.state, stage.need_of(sweep)) else { continue };
            measures.extend(paces.remove(&(stage.outline.kind, need.group)).map(|pace| (*id, pace)));
        }
        measures
    }

    /// Returns the slots of connected workers that can run one of the planned stages.
    pub fn slots_for(&self, outlines: &[Outline], now: Millis) -> usize {
        let demands: BTreeSet<Demand> = outlines.iter().map(Demand::from).collect();
        self.slots_of(&demands.iter().collect(), now)
    }

    /// Returns the slots of connected workers that can run a stage with one of the demands.
    fn slots_of(&self, demands: &BTreeSet<&Demand>, now: Millis) -> usize {
        let mut slots = 0;
        for (id, worker) in self.workers.iter().filter(|(_, worker)| self.is_connected(worker, now)) {
            for device in &worker.offer.devices {
                if demands.iter().any(|demand| self.unfit(demand, id, worker, device).is_none()) {
                    slots += self.slots(id, device);
                }
            }
        }
        slots
    }
}

/// Returns the mean time of a stage, in milliseconds; `None` if nothing tells it.
fn mean(paces: &Paces, runs: &[Run], kind: StageKind, group: Group) -> Option<f64> {
    let pace = paces.get(&(kind, group)).copied().unwrap_or_default();
    if pace.done > 0 {
        return Some(pace.done_ms as f64 / pace.done as f64);
    }
    let telling = runs.iter().filter(|run| run.kind == kind && run.group == group);
    let (count, sum) = telling.filter_map(|run| run.whole_ms).fold((0, 0.0), |(count, sum), ms| (count + 1, sum + ms));
    if count > 0 {
        return Some(sum / f64::from(count));
    }
    let is_like = |other: &Group| kind == StageKind::Test || other.method == group.method;
    let alike = paces.iter().filter(|((of, other), _)| *of == kind && is_like(other)).map(|(_, pace)| pace);
    let (done, images, ms) = alike
        .fold((0, 0, 0), |(done, images, ms), pace| (done + pace.done, images + pace.done_images, ms + pace.done_ms));
    match (done, images, pace.left) {
        (0, ..) => None,
        (_, 0, _) | (_, _, 0) => Some(ms as f64 / done as f64),
        _ => Some(ms as f64 / images as f64 * pace.left_images as f64 / pace.left as f64),
    }
}

/// Returns what is done of a running stage, as a share.
fn done(run: &Run, whole_ms: f64) -> f64 {
    match run.done {
        Some(share) => share,
        None if whole_ms > 0.0 => (run.ran_ms / whole_ms).min(NEARLY),
        None => NEARLY,
    }
}

fn forecast(paces: &Paces, runs: &[Run], slots: usize) -> Forecast {
    let left = || paces.iter().filter(|(_, pace)| pace.left > 0);
    let (mut work, mut unknown) = (0.0, 0);
    let mut means: BTreeMap<(StageKind, Group), f64> = BTreeMap::new();
    for ((kind, group), pace) in left() {
        match mean(paces, runs, *kind, *group) {
            Some(ms) => {
                means.insert((*kind, *group), ms);
                work += ms * pace.left as f64;
            }
            None => unknown += pace.left,
        }
    }
    // The longest chain of stages that is left. A pretext stage may be shared by several fractions of its method.
    let after = |kind: StageKind, group: Group| -> f64 {
        let next = |kind: StageKind, all_fractions: bool| {
            let of = means.iter().filter(|((other, after), _)| {
                *other == kind && after.method == group.method && (all_fractions || after.fraction == group.fraction)
            });
            of.map(|(_, ms)| *ms).fold(0.0, f64::max)
        };
        match kind {
            StageKind::Pretext => next(StageKind::Downstream, true) + next(StageKind::Test, true),
            StageKind::Downstream => next(StageKind::Test, false),
            StageKind::Test => 0.0,
        }
    };
    let mut longest: f64 = 0.0;
    for ((kind, group), pace) in left() {
        let Some(ms) = means.get(&(*kind, *group)) else { continue };
        let running = || runs.iter().filter(|run| run.kind == *kind && run.group == *group);
        let rests = running().map(|run| ms * (1.0 - done(run, *ms)));
        work -= running().map(|run| ms * done(run, *ms)).sum::<f64>();
        let waiting = (pace.left > running().count()).then_some(*ms);
        longest = rests.chain(waiting).map(|rest| rest + after(*kind, *group)).fold(longest, f64::max);
    }
    Forecast { left_ms: longest.max(work.max(0.0) / slots as f64), unknown }
}

#[cfg(test)]
mod tests {
    use pretext_shared::split::Fraction;
    use pretext_shared::stage::Method;

    use super::*;

    const ALL: Group = Group { method: Method::Rotation, fraction: Fraction::ALL };

    fn pace(left: usize, done: usize, each_ms: Millis) -> Pace {
        Pace {
            left,
            left_images: left as u64 * 100,
            done,
            done_images: done as u64 * 100,
            done_ms: done as u64 * each_ms,
        }
    }

    fn paces(of: &[(StageKind, Group, Pace)]) -> Paces {
        of.iter().map(|(kind, group, pace)| ((*kind, *group), *pace)).collect()
    }

    fn run(kind: StageKind, ran_ms: f64, done: Option<f64>) -> Run {
        let whole_ms = done.filter(|share| *share >= TELLING).map(|share| ran_ms / share);
        Run { kind, group: ALL, ran_ms, whole_ms, done }
    }

    #[test]
    fn slots_share_the_work_and_a_chain_has_a_length() {
        let kinds = [StageKind::Pretext, StageKind::Downstream, StageKind::Test];
        let all = paces(&[
            (kinds[0], ALL, pace(4, 1, 600)),
            (kinds[1], ALL, pace(4, 1, 300)),
            (kinds[2], ALL, pace(4, 1, 100)),
        ]);
        assert_eq!(forecast(&all, &[], 2), Forecast { left_ms: 2000.0, unknown: 0 });
        assert_eq!(
            forecast(&all, &[], 64),
            Forecast { left_ms: 1000.0, unknown: 0 },
            "one chain after the other stage"
        );
        // Half of one pretext stage is done.
        let half = [run(kinds[0], 300.0, Some(0.5))];
        assert_eq!(forecast(&all, &half, 2), Forecast { left_ms: 1850.0, unknown: 0 });
        let last = paces(&[(kinds[2], ALL, pace(1, 1, 100))]);
        assert_eq!(forecast(&last, &[run(kinds[2], 60.0, None)], 1).left_ms.round(), 40.0);
        assert_eq!(forecast(&last, &[run(kinds[2], 1e9, None)], 1).left_ms.round(), 5.0, "never less than nothing");
    }

    #[test]
    fn a_stage_is_measured_by_its_group_then_by_a_running_one_then_by_its_images() {
        let kind = StageKind::Downstream;
        let half = Group { fraction: Fraction::new(0.5).expect("a fraction"), ..ALL };
        let other = Group { method: Method::Simclr, ..ALL };
        let none = paces(&[(kind, ALL, pace(2, 0, 0))]);
        assert_eq!(forecast(&none, &[], 1), Forecast { left_ms: 0.0, unknown: 2 });
        let early = run(kind, 10.0, Some(0.01));
        assert_eq!(forecast(&none, &[early], 1).unknown, 2, "a first step says nothing");
        let quarter = run(kind, 250.0, Some(0.25));
        assert_eq!(forecast(&none, &[quarter], 1), Forecast { left_ms: 1750.0, unknown: 0 });
        // The images of the other fraction took 1 ms each.
        let alike = paces(&[(kind, ALL, pace(2, 0, 0)), (kind, half, pace(0, 2, 100))]);
        assert_eq!(forecast(&alike, &[], 1), Forecast { left_ms: 200.0, unknown: 0 });
        let foreign = paces(&[(kind, ALL, pace(2, 0, 0)), (kind, other, pace(0, 2, 100))]);
        assert_eq!(forecast(&foreign, &[], 1).unknown, 2, "another method says nothing");
        let tests = paces(&[(StageKind::Test, ALL, pace(2, 0, 0)), (StageKind::Test, other, pace(0, 2, 100))]);
        assert_eq!(forecast(&tests, &[], 1), Forecast { left_ms: 200.0, unknown: 0 }, "tests are all alike");
    }
}
