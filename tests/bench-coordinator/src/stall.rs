//! How long others wait meanwhile: calls in a loop, beside something large.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::BenchError;
use crate::latency::Latency;
use crate::stub::Stub;
use crate::sweeps::Person;

/// Pause between two calls: the machine also runs what is measured.
const PAUSE: Duration = Duration::from_millis(3);

/// A call that is repeated.
pub(crate) enum Call {
    /// A worker's heartbeat.
    Heartbeat(Stub),
    /// A person's list of sweeps.
    List(Person),
}

impl Call {
    async fn once(&mut self) -> Result<(), BenchError> {
        match self {
            Self::Heartbeat(stub) => stub.heartbeat().await,
            Self::List(person) => person.list().await,
        }
    }
}

/// The running loop. It ends when this is dropped.
pub(crate) struct Loop {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Latency, BenchError>>,
}

impl Loop {
    /// Starts the loop.
    pub(crate) fn start(mut call: Call) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut latency = Latency::default();
            // The call that runs at the end counts too, because it began meanwhile.
            while matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                let begun = Instant::now();
                call.once().await?;
                latency.add(begun.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            Ok(latency)
        });
        Self { stop, task }
    }

    /// Ends the loop, and returns the longest answer time.
    pub(crate) async fn longest(self) -> Result<Option<Duration>, BenchError> {
        drop(self.stop);
        let latency = self.task.await.map_err(|error| BenchError::Answer(error.to_string()))??;
        Ok(latency.longest())
    }
}
