//! The health of devices, computed anew from everything that happened since the coordinator started. The simulation
//! compares the engine's states with these.

use std::collections::BTreeSet;

use pretext_engine::inspect::StageFacts;
use pretext_engine::{DeviceState, Engine, Limits, Refusal};
use pretext_shared::ids::{AttemptId, StageId};
use pretext_shared::outcome::{Blame, FailureCode};

use super::event::{DEVICE, Life, Op, life, worker};
use super::store::{Violation, violation};

/// An event of a machine with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// A run of its worker registered. These other runs of it were known.
    Began(BTreeSet<Life>),
    /// A stage failed for a reason that may lie with the machine. It failed on these machines before.
    Failed(StageId, BTreeSet<String>),
    /// A stage succeeded. It failed on these machines before.
    Succeeded(StageId, BTreeSet<String>),
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    heard: Vec<(Life, Heard)>,
    /// For each event: whether a run began on probation, because a former run of its machine was not good then.
    probations: Vec<bool>,
}

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    OnProbation,
    Drained,
}

impl History {
    /// Returns the event that a request is if the engine accepts it.
    fn event(engine: &Engine, sender: Option<Life>, op: &Op) -> Option<(Life, Heard)> {
        let holder = |attempt: &AttemptId| engine.holder(*attempt).map(|holder| life(&holder.worker));
        let former = |stage: StageId| {
            let sites = engine.progress(stage).into_iter().flat_map(|progress| &progress.failed_at);
            sites.map(|site| site.worker.clone()).collect()
        };
        match op {
            Op::Register => {
                let sender = sender.filter(|sender| !engine.knows(&worker(*sender)))?;
                let runs = engine.all_workers().map(|facts| life(facts.id));
                Some((sender, Heard::Began(runs.filter(|run| run.machine == sender.machine).collect())))
            }
            Op::Fail { attempt, failure, .. } if failure.code.blame() != Blame::Stage => {
                Some((holder(attempt)?, Heard::Failed(attempt.stage, former(attempt.stage))))
            }
            Op::Complete { attempt, .. } => {
                Some((holder(attempt)?, Heard::Succeeded(attempt.stage, former(attempt.stage))))
            }
            _ => None,
        }
    }

    /// Hears a request that the engine answers by `apply`.
    pub(super) fn hear<T>(
        &mut self,
        engine: &mut Engine,
        sender: Option<Life>,
        op: &Op,
        apply: impl FnOnce(&mut Engine) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let event = Self::event(engine, sender, op);
        let answer = apply(engine);
        if let Some(event) = event.filter(|_| answer.is_ok()) {
            let is_good = |run: &Life| self.standing(*run, &engine.limits()) == Standing::Good;
            let began_badly = matches!(&event.1, Heard::Began(runs) if !runs.iter().all(is_good));
            self.heard.push(event);
            self.probations.push(began_badly);
        }
        answer
    }

    /// Checks the engine's states of all devices, and returns the drained ones.
    pub(super) fn compare(&self, engine: &Engine) -> Result<BTreeSet<Life>, Violation> {
        let mut drained = BTreeSet::new();
        for facts in engine.all_workers() {
            let standing = self.standing(life(facts.id), &engine.limits());
            let state = engine.state_of(facts.id, DEVICE);
            let is_same = match state {
                DeviceState::Good => standing == Standing::Good,
                DeviceState::OnProbation => standing == Standing::OnProbation,
                DeviceState::Drained { .. } => standing == Standing::Drained,
            };
            if !is_same {
                return violation("health", format!("{} is {state:?} and should be {standing:?}", facts.id));
            }
            if standing == Standing::Drained {
                drained.insert(life(facts.id));
            }
        }
        Ok(drained)
    }
}

impl History {
    /// Returns the state of a run's device after all events.
    fn standing(&self, of: Life, limits: &Limits) -> Standing {
        let heard = &self.heard;
        let own = |what: fn(&Heard) -> bool| heard.iter().rposition(|(life, heard)| *life == of && what(heard));
        let Some(began) = own(|heard| matches!(heard, Heard::Began(_))) else { return Standing::Good };
        let succeeded = own(|heard| matches!(heard, Heard::Succeeded(..))).filter(|place| *place > began);
        let is_on_probation = succeeded.is_none() && self.probations[began];
        let start = succeeded.unwrap_or(began);
        let failed = |(place, (life, heard)): (usize, &(Life, Heard))| match heard {
            Heard::Failed(stage, _) if *life == of && place > start => Some((place, *stage)),
            _ => None,
        };
        let failures: Vec<(usize, StageId)> = heard.iter().enumerate().filter_map(failed).collect();
        let stages: BTreeSet<StageId> = failures.iter().map(|(_, stage)| *stage).collect();
        let blamed = stages.into_iter().filter(|stage| blames(&heard[start..], of, *stage)).count();
        let first = failures.first().map_or(heard.len(), |(place, _)| *place);
        let others_succeed = heard[first..].iter().any(|(_, heard)| matches!(heard, Heard::Succeeded(..)));
        match is_on_probation {
            true if blamed > 0 => Standing::Drained,
            true => Standing::OnProbation,
            false if blamed >= limits.max_streak && others_succeed => Standing::Drained,
            false => Standing::Good,
        }
    }
}

/// Returns whether the failure of a stage is held against the machine: the stage failed on no other machine, or it
/// succeeded after it did.
fn blames(heard: &[(Life, Heard)], of: Life, stage: StageId) -> bool {
    let name = worker(of).name;
    let mut blames = false;
    for (life, heard) in heard {
        match heard {
            Heard::Failed(failed, former) if *failed == stage => {
                if *life == of {
                    blames = former.iter().all(|other| *other == name);
                } else if life.machine != of.machine && former.contains(&name) {
                    blames = false;
                }
            }
            Heard::Succeeded(succeeded, former) if *succeeded == stage && former.contains(&name) => blames = true,
            _ => {}
        }
    }
    blames
}

/// Checks that a stage keeps the place of a failure that blames it.
pub(super) fn keeps_place(engine: &Engine, attempt: AttemptId, code: FailureCode, at: Life) -> Result<(), Violation> {
    let sites = engine.progress(attempt.stage).map(|progress| progress.failed_at.as_slice()).unwrap_or_default();
    let is_kept = sites
        .iter()
        .any(|site| site.worker == worker(at).name && site.device.is_some() == (code.blame() == Blame::Device));
    if code.blame() != Blame::Stage && !is_kept {
        return violation("health", format!("{attempt} failed on m{}, and its stage keeps {sites:?}", at.machine));
    }
    Ok(())
}

/// Checks that each stage that failed at places avoids them for the whole time again, when the coordinator has started at
/// time 0.
pub(super) fn begins_detours_anew(engine: &Engine) -> Result<(), Violation> {
    let until = engine.limits().avoid_ms;
    match engine.all_stages().find(|stage| !stage.progress.failed_at.is_empty() && stage.avoid_until != until) {
        Some(StageFacts { id, avoid_until, .. }) => violation(
            "health",
            format!("after a restart {id} avoids places until {avoid_until}; it should do so until {until}"),
        ),
        None => Ok(()),
    }
}
