//! Applies requests to the engine, and compares its answers with what its facts say.

use pretext_engine::{Engine, Millis, Refusal};
use pretext_shared::ids::ArtifactId;

use super::compare;
use super::event::{Answer, Op, Origin, life, worker};
use super::health::keeps_place;
use super::scan::Scan;
use super::store::Violation;
use super::workload::{data, pushed, submit_in_pieces};
use super::world::World;

/// Number of checkpoints of a stage that are kept.
const KEEP: u32 = 2;

impl World<'_> {
    /// Applies a request; artifacts that it makes superfluous go to `discards`.
    pub(super) fn apply(
        &mut self,
        engine: &mut Engine,
        origin: Origin,
        op: &Op,
        now: Millis,
        discards: &mut Vec<ArtifactId>,
    ) -> Result<Answer, Violation> {
        let over = |refusal: Refusal| match refusal {
            Refusal::Gap { .. } => Answer::Early,
            Refusal::FromTheFuture { .. } => Answer::Forgotten,
            other => Answer::Over(other.to_string()),
        };
        let wall = 1_700_000_000_000 + self.now + self.process.wall;
        Ok(match op {
            Op::Register => {
                if let Origin::Worker(life) = origin {
                    let offer = self.machines[life.machine].offer(life.machine);
                    let register = |engine: &mut Engine| {
                        engine.register(worker(life), offer, now);
                        Ok(())
                    };
                    let _ = self.process.health.hear(engine, Some(life), op, register);
                }
                Answer::Done
            }
            Op::Lease { device, request } => {
                let Origin::Worker(life) = origin else { return Ok(Answer::Granted(None)) };
                let chosen = Scan::new(engine, now).granted(&worker(life), device, request);
                // The next heartbeat tells an unknown worker to register.
                let grant = engine.lease(&worker(life), device, request, now, wall).ok().flatten();
                compare::grant(grant.as_ref().map(|grant| grant.attempt.stage), chosen)?;
                Answer::Granted(grant.map(Box::new))
            }
            Op::Heartbeat(held) => {
                let Origin::Worker(life) = origin else { return Ok(Answer::Done) };
                let told: Vec<_> = held.iter().map(|(attempt, step)| (*attempt, *step, 0)).collect();
                let directives = engine.heartbeat(&worker(life), &told, now);
                let directives = held.iter().map(|(attempt, _)| *attempt).zip(directives).collect();
                Answer::Directives(directives, !engine.knows(&worker(life)))
            }
            Op::Points { attempt, sequence, points, .. } => {
                engine.points(*attempt, *sequence, points.clone(), now).map_or_else(over, |()| Answer::Done)
            }
            Op::Checkpoint { attempt, checkpoint, batches, .. } => {
                if let Err(refusal) = engine.check(*attempt) {
                    return Ok(over(refusal));
                }
                self.artifacts.insert(checkpoint.artifact);
                match engine.register_checkpoint(*attempt, checkpoint.clone(), KEEP, *batches, now) {
                    Ok(old) => {
                        discards.extend(old);
                        Answer::Done
                    }
                    Err(refusal) => over(refusal),
                }
            }
            Op::Complete { attempt, result, batches, .. } => {
                let complete = |engine: &mut Engine| engine.complete(*attempt, (**result).clone(), *batches);
                match self.process.health.hear(engine, None, op, complete) {
                    Ok(old) => {
                        discards.extend(old);
                        Answer::Done
                    }
                    Err(refusal) => over(refusal),
                }
            }
            Op::Fail { attempt, failure, .. } => {
                let holder = engine.holder(*attempt).map(|holder| life(&holder.worker));
                let fail = |engine: &mut Engine| engine.fail(*attempt, failure.clone(), now);
                match self.process.health.hear(engine, None, op, fail) {
                    Ok(()) => {
                        if let Some(holder) = holder {
                            keeps_place(engine, *attempt, failure.code, holder)?;
                        }
                        Answer::Done
                    }
                    Err(refusal) => over(refusal),
                }
            }
            Op::Release { attempt, .. } => engine.release(*attempt).map_or_else(over, |()| Answer::Done),
            Op::Submit(index) => {
                let mut submission = self.workload.submissions[*index].clone();
                submission.sweep.submitted_ms = wall;
                submit_in_pieces(engine, submission, self.rng.usize(1..8));
                Answer::Done
            }
            Op::Cancel(sweep) => engine.cancel(sweep).map_or_else(over, |_| Answer::Done),
            Op::Retry(sweep) => engine.retry(sweep).map_or_else(over, |_| Answer::Done),
            Op::Delete(sweep) => {
                let runs = Scan::new(engine, now).runs(sweep);
                let deleted = engine.delete(sweep);
                compare::deletion(engine, sweep, runs, deleted.is_ok())?;
                deleted.map_or_else(over, |_| Answer::Done)
            }
            Op::Clear => {
                engine.clear(self.rng.usize(1..4));
                Answer::Done
            }
            Op::Push => engine.push_data(pushed(wall)).map_or(Answer::Done, |_| Answer::Done),
            // A data set that a sweep needs stays.
            Op::Remove => {
                let fingerprint = data().fingerprint.to_string();
                engine.remove_data(&fingerprint).map_or(Answer::Done, |_| Answer::Done)
            }
        })
    }
}
