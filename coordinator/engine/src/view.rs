//! Views of the engine's state, for readers.

use std::collections::BTreeMap;

use pretext_shared::ids::{AttemptId, StageId, SweepId, WorkerId};
use pretext_shared::split::Fraction;
use pretext_shared::sweep::{Cell, CellState, Provenance, StageStatus, StageView, SweepView};

use super::facts::{Before, CellCounts, Demand};
use super::table;
use super::workers::{Offer, WorkerEntry};
use super::{DeviceState, Engine, Millis, Progress, Refusal, Site, StageEntry, StageRecord, State, SweepMark, Waiting};

/// A running stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningStage {
    /// The attempt.
    pub attempt: AttemptId,
    /// A cell that it belongs to.
    pub cell: String,
    /// Cells that share it.
    pub cells: usize,
    /// `pretext`, `downstream` or `test`.
    pub kind: &'static str,
    /// The worker's name.
    pub worker: String,
    /// The device's name.
    pub device: String,
    /// Steps taken.
    pub step: u64,
    /// All steps.
    pub total: u64,
}

/// The state of a sweep at one moment, in brief.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepStatus {
    /// Id.
    pub id: SweepId,
    /// Number of cells in each state.
    pub cells: CellCounts,
    /// Milliseconds since the Unix epoch.
    pub submitted_ms: u64,
    /// Whether it was cancelled.
    pub mark: SweepMark,
    /// Whether it is a rehearsal.
    pub extent: pretext_shared::stage::Extent,
    /// Stages that run.
    pub running: Vec<RunningStage>,
    /// Finished steps, and all steps.
    pub steps: (u64, u64),
    /// Finished images, and all images.
    pub images: (u64, u64),
    /// Reasons why no connected worker can run stages that are ready.
    pub obstacles: Vec<String>,
}

/// A sweep as the engine knows it: without the plans of its stages and without their points.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Id.
    pub id: SweepId,
    /// Name, as in the file.
    pub name: String,
    /// The origin of its numbers.
    pub provenance: Provenance,
    /// Its cells, in the order of the plan.
    pub cells: Vec<Cell>,
    /// The states of its stages.
    pub stages: BTreeMap<StageId, StageStatus>,
    /// The cells, by position, that were final before the cancellation; `None` if the sweep was not cancelled.
    pub cancelled: Option<Vec<u32>>,
}

/// The error for a stage without a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stage {} has no plan", .0.short())]
pub struct NoPlan(pub StageId);

impl Standing {
    /// Returns the sweep for readers, without points, from the plans of its stages.
    ///
    /// # Errors
    ///
    /// A stage that has no plan.
    pub fn with_plans(self, mut plans: BTreeMap<StageId, StageRecord>) -> Result<SweepView, NoPlan> {
        let stages = self.stages.into_iter().map(|(id, status)| {
            let StageRecord { stage, cost, .. } = plans.remove(&id).ok_or(NoPlan(id))?;
            Ok((id, StageView { stage, cost, status, points: Vec::new() }))
        });
        Ok(SweepView {
            stages: stages.collect::<Result<_, NoPlan>>()?,
            id: self.id,
            name: self.name,
            provenance: self.provenance,
            cells: self.cells,
            cancelled: self.cancelled,
        })
    }
}

/// The state of a worker at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerView {
    /// The worker.
    pub worker: WorkerId,
    /// Its offer.
    pub offer: Offer,
    /// The states of its devices that are not good, by name.
    pub unwell: BTreeMap<String, DeviceState>,
    /// The stages that it holds: attempt, device, step.
    pub holds: Vec<(AttemptId, String, u64)>,
    /// Milliseconds since its last sign of life.
    pub silent_ms: Millis,
    /// Whether that is less than the lease time.
    pub connected: bool,
}

/// Returns whether `key` (`METHOD/FRACTION/LR/SEED`) names the cell; the fraction may be written as `5%` too.
fn names(key: &str, cell: &Cell) -> bool {
    let mut parts: Vec<&str> = key.split('/').collect();
    let fraction = parts.get(1).and_then(|text| text.parse::<Fraction>().ok()).map(|fraction| fraction.to_string());
    if let (Some(part), Some(fraction)) = (parts.get_mut(1), &fraction) {
        *part = fraction;
    }
    parts.join("/") == cell.key.to_string()
}

/// Returns the places that a waiting stage avoids, for a person.
fn detour(stage: &StageEntry) -> String {
    let named = |site: &Site| match &site.device {
        Some(device) => format!("{device} of worker {}", site.worker),
        None => format!("worker {}", site.worker),
    };
    match stage.avoids() {
        [] => String::new(),
        sites => format!(", if possible elsewhere than on {}", sites.iter().map(named).collect::<Vec<_>>().join(", ")),
    }
}

/// Returns the state of a stage for readers.
pub(super) fn status(progress: &Progress, step: u64) -> StageStatus {
    match &progress.state {
        State::Waiting(_) => StageStatus::Pending,
        State::Leased(holder) => StageStatus::Running { worker: holder.worker.name.clone(), step },
        State::Succeeded(result) => StageStatus::Succeeded(result.clone()),
        State::Failed(failure) => StageStatus::Failed(failure.clone()),
        State::Cancelled => StageStatus::Cancelled,
    }
}

impl Engine {
    /// Returns the state of a sweep. The store's view adds plans and points.
    pub fn standing(&self, sweep: &SweepId) -> Result<Standing, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        let stages = entry.stages.iter().filter_map(|id| Some((*id, self.table.stages().get(id)?)));
        let stages = stages.map(|(id, stage)| (id, status(&stage.progress, stage.step))).collect();
        Ok(Standing {
            id: sweep.clone(),
            name: entry.record.name.clone(),
            provenance: entry.record.provenance.clone(),
            cells: entry.record.cells.clone(),
            stages,
            cancelled: match &entry.mark {
                SweepMark::Active => None,
                SweepMark::Cancelled(ended) => Some(ended.clone()),
            },
        })
    }

    /// Returns the state of a cell from its stages, even if they run for another sweep.
    pub(super) fn progress_of(&self, cell: &Cell) -> CellState {
        table::state(cell, self.table.stages())
    }

    /// Returns the state of a cell in a sweep. In a cancelled sweep it is cancelled, unless it was final before.
    fn cell_state(&self, place: usize, cell: &Cell, mark: &SweepMark) -> CellState {
        match mark {
            SweepMark::Cancelled(ended) if !ended.contains(&(place as u32)) => CellState::Cancelled,
            _ => self.progress_of(cell),
        }
    }

    /// Returns the number of cells of a sweep in each state.
    pub fn cell_counts(&self, sweep: &SweepId) -> Option<CellCounts> {
        self.table.sweeps().get(sweep).map(|sweep| sweep.counts())
    }

    /// Returns the state of a sweep in brief.
    pub fn status(&self, sweep: &SweepId, now: Millis) -> Result<SweepStatus, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        let mut result = SweepStatus {
            id: sweep.clone(),
            cells: entry.counts(),
            submitted_ms: entry.record.submitted_ms,
            mark: entry.mark.clone(),
            extent: entry.record.provenance.extent,
            running: Vec::new(),
            steps: (0, entry.steps),
            images: (0, entry.images),
            obstacles: Vec::new(),
        };
        let index = self.table.index();
        let Some(queue) = index.queues.of(sweep) else { return Ok(result) };
        (result.steps.0, result.images.0) = (queue.steps, queue.images);
        for id in &queue.running {
            let Some(stage) = self.table.stages().get(id) else { continue };
            let State::Leased(holder) = &stage.progress.state else { continue };
            let cost = &stage.outline.cost;
            result.steps.0 += stage.step.min(cost.steps);
            result.images.0 += stage.images.min(cost.images_seen);
            let cells = stage.need_of(sweep).map(|need| &*need.cells).unwrap_or_default();
            let first = cells.first().and_then(|place| entry.record.cells.get(*place as usize));
            result.running.push(RunningStage {
                attempt: AttemptId { stage: *id, fence: stage.progress.fence },
                cell: first.map(|cell| cell.key.to_string()).unwrap_or_default(),
                cells: cells.len(),
                kind: stage.outline.kind.as_str(),
                worker: holder.worker.name.clone(),
                device: holder.device.clone(),
                step: stage.step,
                total: cost.steps,
            });
        }
        let ended = index.ended_back_offs(now).into_iter().filter_map(|id| self.table.stages().get(&id));
        let ended = ended.filter(|stage| stage.before == Before::Done && stage.need_of(sweep).is_some());
        for demand in queue.demands().chain(ended.map(|stage| &*stage.demand)) {
            let obstacle = self.obstacle(demand, now);
            result.obstacles.extend(obstacle.filter(|obstacle| !result.obstacles.contains(obstacle)));
        }
        Ok(result)
    }

    /// Returns why no connected worker can run stages with this demand; `None` if one can.
    fn obstacle(&self, demand: &Demand, now: Millis) -> Option<String> {
        let mut reasons = Vec::new();
        for (id, worker) in self.workers.iter().filter(|(_, worker)| self.is_connected(worker, now)) {
            for device in &worker.offer.devices {
                match self.unfit(demand, id, worker, device) {
                    None => return None,
                    Some(reason) => reasons.push(format!("worker {}: {reason}", id.name)),
                }
            }
        }
        reasons.dedup();
        Some(if reasons.is_empty() { "no worker is connected".to_owned() } else { reasons.join("; ") })
    }

    /// Returns all sweeps, newest first.
    pub fn list(&self, now: Millis) -> Vec<SweepStatus> {
        let mut all: Vec<SweepStatus> = self.table.sweeps().keys().filter_map(|id| self.status(id, now).ok()).collect();
        all.sort_by(|a, b| b.submitted_ms.cmp(&a.submitted_ms).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// Returns all workers that have registered.
    pub fn workers(&self, now: Millis) -> Vec<WorkerView> {
        let view = |(id, entry): (&WorkerId, &WorkerEntry)| WorkerView {
            worker: id.clone(),
            offer: entry.offer.clone(),
            unwell: self.unwell(id, entry),
            holds: self.holds(id),
            silent_ms: self.listening(now).saturating_sub(entry.last_seen),
            connected: self.is_connected(entry, now),
        };
        self.workers.iter().map(view).collect()
    }

    fn unwell(&self, id: &WorkerId, worker: &WorkerEntry) -> BTreeMap<String, DeviceState> {
        let devices = worker.offer.devices.iter().map(|device| device.name.clone());
        let states = devices.map(|device| (self.device_state(id, &device), device));
        states.filter(|(state, _)| *state != DeviceState::Good).map(|(state, device)| (device, state)).collect()
    }

    /// Returns the stages that a worker holds: attempt, device, step.
    fn holds(&self, worker: &WorkerId) -> Vec<(AttemptId, String, u64)> {
        let held = self.table.index().holdings.held_by(worker).into_iter();
        let held = held.filter_map(|(id, device)| Some((id, device, self.table.stages().get(&id)?)));
        held.map(|(stage, device, entry)| {
            (AttemptId { stage, fence: entry.progress.fence }, device.to_owned(), entry.step)
        })
        .collect()
    }

    /// Returns the facts about a cell, one line each.
    pub fn explain(&self, cell_id: &str, now: Millis) -> Result<Vec<String>, Refusal> {
        let unknown = || Refusal::UnknownCell(cell_id.to_owned());
        let (sweep, key) = cell_id.split_once('/').ok_or_else(unknown)?;
        let sweep = self.find_sweep(sweep)?;
        let entry = self.table.sweeps().get(&sweep).ok_or_else(unknown)?;
        let mut cells = entry.record.cells.iter().enumerate();
        let (place, cell) = cells.find(|(_, cell)| names(key, cell)).ok_or_else(unknown)?;
        let state = self.cell_state(place, cell, &entry.mark);
        let mut lines = vec![format!("cell {} is {}", cell.id(&sweep), state.as_str())];
        for id in cell.stages() {
            if let Some(stage) = self.table.stages().get(&id) {
                self.explain_stage(id, stage, now, &mut lines);
            }
        }
        Ok(lines)
    }

    /// Returns a line for each drained device that could run stages with this demand.
    fn drained_for(&self, demand: &Demand, now: Millis) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, worker) in self.workers.iter().filter(|(_, worker)| self.is_connected(worker, now)) {
            for device in &worker.offer.devices {
                if let DeviceState::Drained { reason } = self.device_state(id, &device.name)
                    && self.unable(demand, worker, device).is_none()
                {
                    lines.push(format!("  {} of worker {} is drained: {reason}", device.name, id.name));
                }
            }
        }
        lines
    }

    fn explain_stage(&self, id: StageId, stage: &StageEntry, now: Millis, lines: &mut Vec<String>) {
        let kind = stage.outline.kind.as_str();
        let shared = stage.needs.len();
        let progress = &stage.progress;
        let standing = match &progress.state {
            State::Succeeded(result) => format!("done on {} in {:.1} s", result.device, result.seconds),
            State::Failed(failure) => format!("failed ({}): {}", failure.code.as_str(), failure.message),
            State::Cancelled => "cancelled".to_owned(),
            State::Leased(holder) => format!(
                "runs on {} of worker {}, step {} of {}",
                holder.device, holder.worker.name, stage.step, stage.outline.cost.steps
            ),
            State::Waiting(Waiting::BackOff(_)) if stage.until > now => {
                format!("will be retried in {:.1} s", (stage.until - now) as f64 / 1000.0)
            }
            State::Waiting(_) if stage.before != Before::Done => "waits for the stage before it".to_owned(),
            State::Waiting(_) => match self.obstacle(&stage.demand_now(), now) {
                Some(obstacle) => format!("cannot run: {obstacle}"),
                None => format!("waits for a free slot{}", detour(stage)),
            },
        };
        lines.push(format!(
            "{kind} {} (needed by {shared} sweep(s), fence {}): {standing}",
            id.short(),
            progress.fence
        ));
        if let State::Waiting(_) = &progress.state {
            lines.extend(self.drained_for(&stage.demand, now));
        }
        if let Some(checkpoint) = &progress.checkpoint {
            lines.push(format!("  resumes from step {}", checkpoint.step));
        }
        for (fence, failure) in &progress.history {
            lines.push(format!("  attempt {fence} failed ({}): {}", failure.code.as_str(), failure.message));
        }
        if progress.lost > 0 {
            lines.push(format!("  {} worker(s) were lost while running it", progress.lost));
        }
    }
}
