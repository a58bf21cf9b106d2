//! Deletes the stages that no sweep needs, a few at a time, so that other requests do not wait. They belonged to a
//! deleted sweep, or to a submission that never ended. A start of the coordinator continues what the one before left.

use crate::core::{Core, CoreError};

/// Stages that are deleted in one request.
const PIECE: usize = 500;

/// Deletes all of them, and returns their number.
///
/// # Errors
/// If the core does not answer; a later call continues.
pub(crate) async fn clear(core: &Core) -> Result<usize, CoreError> {
    let mut cleared = 0;
    loop {
        match core.call(|engine, _| engine.clear(PIECE)).await? {
            0 => return Ok(cleared),
            more => cleared += more,
        }
    }
}

/// Continues at a start.
pub(crate) async fn proceed(core: Core) {
    match clear(&core).await {
        Ok(0) => {}
        Ok(stages) => tracing::info!(stages, "stages deleted that no sweep needs"),
        Err(error) => tracing::warn!(%error, "stages that no sweep needs stay until the next start"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretext_engine::Limits;
    use pretext_engine::fixtures::{SWEEP, submission};
    use pretext_shared::ids::Fence;
    use pretext_store::{RedbStore, Store};

    use super::*;

    #[tokio::test]
    async fn a_restart_in_the_middle_of_a_deletion_deletes_the_rest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.redb");
        let open = || -> Arc<dyn Store> { Arc::new(RedbStore::open(&path).expect("opens")) };
        let sweep = submission(SWEEP, 1);
        let id = sweep.sweep.id.clone();
        let (core, thread) = Core::start(open(), Limits::default()).expect("an empty store");
        core.call(move |engine, _| engine.submit(sweep)).await.expect("durable");
        let deletes = move |engine: &mut pretext_engine::Engine| {
            engine.cancel(&id)?;
            engine.delete(&id)?;
            Ok::<_, pretext_engine::Refusal>(engine.clear(2))
        };
        let cleared = core.call(move |engine, _| deletes(engine)).await.expect("durable").expect("known");
        thread.stop();
        drop(core);
        assert_eq!(cleared, 2);

        let store = open();
        assert_eq!(store.load().expect("readable").stages.len(), 3);
        let (core, thread) = Core::start(store.clone(), Limits::default()).expect("readable");
        proceed(core).await;
        thread.stop();
        let snapshot = store.load().expect("readable");
        assert_eq!((snapshot.stages.len(), snapshot.sweeps.len(), snapshot.first_fence), (0, 0, Fence(0)));
    }
}
