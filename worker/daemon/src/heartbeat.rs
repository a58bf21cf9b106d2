//! Heartbeats: renew all leases at once, and bring the coordinator's verdicts to the slots.

use std::sync::Arc;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::claim::Claim;
use pretext_shared::ids::AttemptId;
use tokio::time::MissedTickBehavior;

use super::{Shared, messages};

/// Whether the last heartbeat was answered.
#[derive(PartialEq, Eq)]
enum Contact {
    There,
    Lost,
}

/// Sends heartbeats until the task is cancelled.
pub(super) async fn run(shared: Arc<Shared>, registered: pb::RegisterReply) {
    let mut pace = tokio::time::interval(messages::pace(&registered));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut contact = Contact::There;
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            () = shared.forgotten.notified() => {}
        }
        let (attempts, held): (Vec<AttemptId>, Vec<pb::Held>) = shared
            .held()
            .iter()
            .map(|(attempt, held)| {
                let claim = Claim { attempt: *attempt, proof: held.proof.clone() };
                let message = messages::held(&claim, held.step, held.images, &held.device);
                (*attempt, message)
            })
            .unzip();
        let request = pb::HeartbeatRequest { worker: shared.link.worker(), held };
        // An answer that takes longer than the pace counts as none: the next heartbeat asks again, and asks another
        // coordinator if there is one.
        let patience = pace.period().max(Duration::from_secs(1));
        let call = shared.link.call(|mut client| async move {
            let answer = tokio::time::timeout(patience, client.heartbeat(request)).await;
            answer.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("no answer in time")))
        });
        let reply = match call.await {
            Ok(reply) => reply.into_inner(),
            Err(status) => {
                match std::mem::replace(&mut contact, Contact::Lost) {
                    Contact::There => {
                        tracing::warn!(error = status.message(), "no coordinator answers; the stages here continue");
                    }
                    Contact::Lost => tracing::debug!(error = status.message(), "heartbeat failed"),
                }
                continue;
            }
        };
        if std::mem::replace(&mut contact, Contact::There) == Contact::Lost {
            tracing::info!("a coordinator answers again");
        }
        {
            let held = shared.held();
            for (attempt, directive) in attempts.iter().zip(&reply.directives) {
                if let Some(held) = held.get(attempt) {
                    held.judge(messages::verdict(*directive));
                }
            }
        }
        if reply.register_again
            && let Err(error) = shared.link.register().await
        {
            tracing::error!(%error, "the coordinator no longer accepts this worker");
        }
    }
}
