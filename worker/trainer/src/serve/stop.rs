//! Requests to stop: from the daemon for one stage, or by a signal for the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether training should stop at its next step. Clones share the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    /// For the stage that runs.
    stage: Arc<AtomicBool>,
    /// For this process: no other stage runs after this one.
    process: Arc<AtomicBool>,
}

impl Stop {
    /// Takes SIGTERM and SIGINT as a request to stop the process: the stage writes a checkpoint, then the process ends.
    pub(super) fn on_signals(&self) -> io::Result<()> {
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(&self.process))?;
        }
        Ok(())
    }

    /// Requests that the stage stops.
    pub(super) fn request(&self) {
        self.stage.store(true, Ordering::SeqCst);
    }

    /// Forgets a request for the stage before this one.
    pub(super) fn reset(&self) {
        self.stage.store(false, Ordering::SeqCst);
    }

    /// Returns whether the stage should stop.
    pub(super) fn is_requested(&self) -> bool {
        self.stage.load(Ordering::SeqCst) || self.is_final()
    }

    /// Returns whether the process should end after the stage.
    pub(super) fn is_final(&self) -> bool {
        self.process.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_outlasts_the_next_order() {
        let stop = Stop::default();
        stop.request();
        stop.reset();
        assert!(!stop.is_requested());
        stop.process.store(true, Ordering::SeqCst);
        stop.reset();
        assert!(stop.is_requested() && stop.is_final());
    }
}
