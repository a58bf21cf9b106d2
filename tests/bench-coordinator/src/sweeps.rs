//! Sweeps of a wanted size, and the calls of a person about them.

use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_proto::v1::sweeps_client::SweepsClient;
use tonic::transport::Channel;

use crate::error::{BenchError, within};
use crate::stub::connect;

/// Cells of a sweep for each of its seeds: methods × fractions × policies.
const CELLS_OF_A_SEED: u64 = 4 * 5 * 2;
/// Longest time for an answer about a large sweep.
const PATIENCE: Duration = Duration::from_secs(240);

/// A sweep to submit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    /// Number of its cells, rounded up to whole seeds.
    pub(crate) cells: u64,
    /// Its first seed: sweeps with the same seeds share stages.
    pub(crate) first_seed: u64,
    /// Most stages that run at a time.
    pub(crate) max_parallel: Option<u32>,
    /// The class of devices that may run it: `cpu` or `gpu`.
    pub(crate) numeric: &'static str,
}

impl Sweep {
    /// Returns a sweep of `cells` cells for stubs.
    pub(crate) fn of(cells: u64) -> Self {
        Self { cells, first_seed: 0, max_parallel: None, numeric: "cpu" }
    }

    /// Returns the number of its seeds.
    pub(crate) fn seeds(&self) -> u64 {
        self.cells.div_ceil(CELLS_OF_A_SEED).max(1)
    }

    /// Returns the text of its file.
    fn text(&self) -> String {
        let seeds: Vec<String> =
            (self.first_seed..self.first_seed + self.seeds()).map(|seed| seed.to_string()).collect();
        let max_parallel = self.max_parallel.map(|most| format!("max_parallel: {most}\n")).unwrap_or_default();
        format!(
            "name: bench-{}
numeric: {}
{max_parallel}dataset: {{kind: procedural, train_per_class: 400, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 1}}
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [5%, 10%, 25%, 50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}, falling: {{kind: cosine, base: 0.001}}}}
seeds: [{}]
pretext: {{data: fraction, epochs: 1, batch: 8}}
downstream: {{epochs: 1, batch: 8}}
",
            self.first_seed,
            self.numeric,
            seeds.join(", ")
        )
    }
}

/// A person at the command line.
#[derive(Clone)]
pub(crate) struct Person(SweepsClient<Channel>);

impl Person {
    /// Connects to the coordinator at `url`.
    pub(crate) async fn connect(url: &str) -> Result<Self, BenchError> {
        Ok(Self(SweepsClient::new(connect(url).await?)))
    }

    /// Submits a sweep.
    pub(crate) async fn submit(&mut self, sweep: Sweep) -> Result<pb::SubmitReply, BenchError> {
        let request =
            pb::SubmitRequest { spec: sweep.text(), smoke: false, request_id: uuid::Uuid::now_v7().to_string() };
        let call = async { self.0.submit(request).await.map_err(BenchError::refused("submit")) };
        within("a submission", PATIENCE, call).await.map(tonic::Response::into_inner)
    }

    /// Cancels a sweep.
    pub(crate) async fn cancel(&mut self, sweep: String) -> Result<(), BenchError> {
        let call = async { self.0.cancel(pb::CancelRequest { sweep }).await.map_err(BenchError::refused("cancel")) };
        within("a cancellation", PATIENCE, call).await.map(drop)
    }

    /// Asks for all sweeps.
    pub(crate) async fn list(&mut self) -> Result<(), BenchError> {
        let call = async { self.0.list(pb::ListRequest {}).await.map_err(BenchError::refused("list")) };
        within("a list", PATIENCE, call).await.map(drop)
    }

    /// Asks for the state of a sweep without its curves, and returns its bytes.
    pub(crate) async fn status(&mut self, sweep: &str) -> Result<usize, BenchError> {
        let request = pb::GetRequest { sweep: sweep.to_owned(), points: false };
        let call = async {
            let mut chunks = self.0.get(request).await.map_err(BenchError::refused("status"))?.into_inner();
            let mut bytes = 0;
            while let Some(chunk) = chunks.message().await.map_err(BenchError::refused("status"))? {
                bytes += chunk.data.len();
            }
            Ok(bytes)
        };
        within("a status", PATIENCE, call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_has_the_wanted_cells_and_shares_none_with_the_next() {
        for (cells, seeds) in [(1, 1), (40, 1), (41, 2), (400, 10)] {
            assert_eq!(Sweep::of(cells).seeds(), seeds, "{cells}");
        }
        let text = Sweep { first_seed: 2, max_parallel: Some(8), ..Sweep::of(80) }.text();
        assert!(text.contains("\nseeds: [2, 3]\n") && text.contains("\nmax_parallel: 8\n"), "{text}");
        assert!(!Sweep::of(80).text().contains("max_parallel"));
    }
}
