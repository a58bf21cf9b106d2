//! Waits for room on the worker's disk: a full disk is no reason to lose a stage that was trained.

use std::thread::sleep;
use std::time::Duration;

use super::{Reporter, StageError};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The outcome of [`write()`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything is on the disk.
    Whole,
    /// The caller asked the stage to stop while it waited.
    Stopped,
}

/// Writes the outputs of a stage. If the disk is full, it says so once, and tries again until there is room or until
/// the stage must stop.
pub(super) fn write(
    reporter: &Reporter<'_>,
    outputs: impl Fn() -> Result<(), StageError>,
) -> Result<Written, StageError> {
    every(PAUSE, reporter, outputs)
}

fn every(
    pause: Duration,
    reporter: &Reporter<'_>,
    outputs: impl Fn() -> Result<(), StageError>,
) -> Result<Written, StageError> {
    let mut told = false;
    loop {
        match outputs() {
            Err(error) if error.is_full() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "the disk is full: the stage waits until there is room for its outputs");
                }
                if reporter.stop_requested() {
                    return Ok(Written::Stopped);
                }
                sleep(pause);
            }
            Err(error) => return Err(error),
            Ok(()) => {
                if told {
                    tracing::info!("the disk has room again; the outputs are written");
                }
                return Ok(Written::Whole);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use pretext_checkpoint::BundleError;
    use pretext_shared::trainer::Report;

    use super::*;
    use crate::train::Events;

    struct Stop(AtomicBool);

    impl Events for Stop {
        fn report(&self, _: Report) {}

        fn stop_requested(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn failed(kind: io::ErrorKind) -> StageError {
        BundleError::Io { action: "write", path: "model.bin".into(), source: kind.into() }.into()
    }

    #[test]
    fn a_full_disk_is_waited_for_and_a_broken_one_is_not() {
        let events = Stop(AtomicBool::new(false));
        let reporter = Reporter::new(&events);
        let tries = Cell::new(0);
        let outputs = || {
            tries.set(tries.get() + 1);
            if tries.get() < 4 { Err(failed(io::ErrorKind::StorageFull)) } else { Ok(()) }
        };
        assert!(matches!(every(Duration::ZERO, &reporter, outputs), Ok(Written::Whole)) && tries.get() == 4);
        let broken = every(Duration::ZERO, &reporter, || Err(failed(io::ErrorKind::Other)));
        assert!(matches!(broken, Err(StageError::Storage(_))));
        events.0.store(true, Ordering::Relaxed);
        let full = every(Duration::ZERO, &reporter, || Err(failed(io::ErrorKind::QuotaExceeded)));
        assert!(matches!(full, Ok(Written::Stopped)), "it must stop");
    }
}
