//! A child process that never outlives the bench.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{BenchError, within};

/// A process that is killed when this is dropped: at the end of a measurement, after an error, and after Ctrl-C.
pub(super) struct Guarded(pub(super) Child);

impl Guarded {
    /// Returns the exit status if the process has ended.
    pub(super) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Sends SIGTERM and waits for the end.
    pub(super) async fn terminate(&mut self, limit: Duration) -> Result<(), BenchError> {
        // An error means that the process has ended already.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let ended = async {
            while self.ended().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        within("the end after SIGTERM", limit, ended).await
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
