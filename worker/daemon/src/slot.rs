//! A slot: a place on a device where one stage runs at a time. It asks for stages until the daemon stops, and keeps its
//! trainer process between stages.

use std::sync::Arc;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::device::label;
use pretext_shared::device::{DeviceFacts, NumericClass};
use tokio::time::Instant;
use tonic::Code;
use tracing::Instrument;

use super::Shared;
use super::attempt;
use super::idle::Outlook;
use super::process::Trainer;

/// Pause after a request without an answer.
const PAUSE: Duration = Duration::from_millis(500);

/// The device, threads and cores of a slot's trainer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotPlan {
    /// The device's name.
    pub(super) device: String,
    /// The device as results name it: its name with what its numbers depend on.
    pub(super) label: String,
    /// CPU threads of the trainer.
    pub(super) threads: usize,
    /// Cores that the trainer is pinned to; empty if there are not enough for all trainers.
    pub(super) cores: Vec<usize>,
}

/// Returns the slots of `devices`. If the CPU trainers together use all cores, each is pinned to cores of its own, so
/// that they do not compete. If they use fewer, they are not pinned: other programs (another worker of this machine)
/// need cores too, and only the system knows which core is free.
pub(super) fn plan(devices: &[DeviceFacts], threads: usize) -> Vec<SlotPlan> {
    assign(devices, threads, usable_cores())
}

fn assign(devices: &[DeviceFacts], threads: usize, cores: Vec<usize>) -> Vec<SlotPlan> {
    let places = || devices.iter().flat_map(|device| (0..device.slots).map(move |_| device));
    let wanted = places().filter(|device| device.class == NumericClass::Cpu).count() * threads;
    let mut free = if wanted == cores.len() { cores } else { Vec::new() };
    places()
        .map(|facts| {
            let own = if facts.class == NumericClass::Cpu { threads.min(free.len()) } else { 0 };
            SlotPlan { device: facts.name.clone(), label: label(facts), threads, cores: free.drain(..own).collect() }
        })
        .collect()
}

/// Returns the cores that this process may use.
fn usable_cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    }
    Vec::new()
}

/// Runs the slot until the daemon stops or has nothing more to do. `place` is the slot's index in the daemon.
pub(super) async fn run(shared: Arc<Shared>, plan: SlotPlan, place: usize) {
    let mut trainer: Option<Trainer> = None;
    let mut stopping = shared.stopping.clone();
    while !shared.is_stopping() {
        let grant = tokio::select! {
            grant = lease(&shared, &plan, place) => grant,
            () = super::becomes(&mut stopping, Option::is_some) => break,
        };
        let Some((grant, request)) = grant else { break };
        let attempt = grant.attempt.clone().unwrap_or_default();
        let span =
            tracing::info_span!("attempt", stage = %attempt.stage, fence = attempt.fence, grant_request = %request);
        trainer = attempt::run(&shared, &plan, trainer, grant).instrument(span).await;
    }
}

/// Asks for a stage until there is one. Each repetition has the same request id, so that a grant whose reply was lost
/// is not lost. Returns the id too, for the log. Returns `None` if the daemon was idle for the time of its options.
async fn lease(shared: &Shared, plan: &SlotPlan, place: usize) -> Option<(pb::Grant, String)> {
    let request = pb::LeaseRequest {
        worker: shared.link.worker(),
        device: plan.device.clone(),
        wait_ms: shared.idle.poll().as_millis() as u64,
        request_id: uuid::Uuid::now_v7().to_string(),
    };
    loop {
        let asked = request.clone();
        match shared.link.call(|mut client| async move { client.lease(asked).await }).await {
            Ok(reply) => {
                let pb::LeaseReply { grant, nothing_waits } = reply.into_inner();
                tracing::debug!(device = %plan.device, granted = grant.is_some(), nothing_waits, "asked for work");
                let outlook = match (&grant, nothing_waits) {
                    (None, true) => Outlook::Nothing,
                    _ => Outlook::Work,
                };
                if shared.idle.note(place, outlook, Instant::now()) {
                    return None;
                }
                if let Some(grant) = grant {
                    return Some((grant, request.request_id));
                }
            }
            Err(status) => {
                shared.idle.note(place, Outlook::Work, Instant::now());
                // A restarted coordinator does not know this worker yet. The heartbeat registers again.
                if status.code() == Code::FailedPrecondition {
                    shared.forgotten.notify_one();
                } else {
                    tracing::debug!(error = status.message(), "asking for work failed");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, class: NumericClass, slots: u32) -> DeviceFacts {
        DeviceFacts { name: name.to_owned(), description: String::new(), class, slots }
    }

    #[test]
    fn trainers_that_take_the_whole_machine_get_cores_of_their_own() {
        let cores = |devices: &[DeviceFacts], threads| -> Vec<Vec<usize>> {
            assign(devices, threads, vec![0, 1, 2, 3]).into_iter().map(|slot| slot.cores).collect()
        };
        let cpu = |slots| device("cpu", NumericClass::Cpu, slots);
        let gpu = device("cuda:0", NumericClass::Gpu, 2);
        assert_eq!(cores(&[cpu(4)], 1), [[0], [1], [2], [3]]);
        assert_eq!(cores(&[gpu, cpu(2)], 2), [vec![], vec![], vec![0, 1], vec![2, 3]]);
        // Another worker may run on this machine, and too many trainers share all cores.
        assert_eq!(cores(&[cpu(1)], 1), [Vec::<usize>::new()]);
        assert!(cores(&[cpu(9)], 1).iter().all(Vec::is_empty));
    }
}
