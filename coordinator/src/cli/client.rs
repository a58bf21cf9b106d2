//! The client of the coordinator's gRPC interface: takes questions, returns answers or a [`CliError`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_proto::v1::data_client::DataClient;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::sweeps_server::SERVICE_NAME;
use pretext_proto::v1::web_client::WebClient;
use pretext_shared::ids::ArtifactId;
use pretext_shared::stage::Extent;
use pretext_shared::sweep::SweepView;
use serde::de::DeserializeOwned;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use super::args::Remote;
use super::backup::write_piece;
use super::error::{CliError, innermost};
use super::identity;
use crate::verify::Verification;

/// Time limit for a coordinator to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time without an answer after which the client asks whether the coordinator is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// Size of the largest accepted message: the plan of a large sweep is one message.
const MAX_ANSWER: usize = 256 << 20;

/// A connection to a coordinator.
#[derive(Clone)]
pub(super) struct Client {
    rpc: SweepsClient<Channel>,
    web: WebClient<Channel>,
    data: DataClient<Channel>,
    url: String,
    /// All addresses at which the leading coordinator may be.
    places: Arc<[Place]>,
}

/// The address of a coordinator, and how to connect to it.
struct Place {
    url: String,
    wire: Wire,
}

impl Client {
    /// Connects to the coordinator that `remote` names; of several, to the leader.
    pub(super) async fn connect(remote: &Remote) -> Result<Self, CliError> {
        let place = |url: String| Ok(Place { wire: identity::wire(&url, remote.credentials())?, url });
        let places: Arc<[Place]> = remote.urls().into_iter().map(place).collect::<Result<_, CliError>>()?;
        Self::look(&places).await
    }

    /// Connects to the coordinator of this process.
    pub(super) async fn connect_here(url: &str) -> Result<Self, CliError> {
        Self::look(&[Place { url: url.to_owned(), wire: Wire::Plain }].into()).await
    }

    /// Connects again after the coordinator went away: another one may lead now.
    ///
    /// # Errors
    /// If no coordinator leads; the former connection stays.
    pub(super) async fn look_again(&mut self) -> Result<(), CliError> {
        if self.places.len() > 1 {
            *self = Self::look(&self.places).await?;
        }
        Ok(())
    }

    async fn look(places: &Arc<[Place]>) -> Result<Self, CliError> {
        let mut failed = CliError::input("no coordinator was named");
        for place in places.iter() {
            let found = async {
                let channel = Self::dial(&place.url, &place.wire).await?;
                if places.len() > 1 {
                    leads(&place.url, channel.clone()).await?;
                }
                Ok(channel)
            };
            match found.await {
                Ok(channel) => {
                    let web = WebClient::new(channel.clone());
                    let data = DataClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
                    let rpc = SweepsClient::new(channel).max_decoding_message_size(MAX_ANSWER);
                    return Ok(Self { rpc, web, data, url: place.url.clone(), places: places.clone() });
                }
                Err(error @ CliError::Unreachable { .. }) => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    async fn dial(url: &str, wire: &Wire) -> Result<Channel, CliError> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .ok()
            .filter(|endpoint| {
                matches!(endpoint.uri().scheme_str(), Some("http" | "https")) && endpoint.uri().host().is_some()
            })
            .ok_or_else(|| CliError::Input {
                message: format!("`{}` is not the URL of a coordinator", url.escape_debug()),
                help: Some("give http://HOST:PORT, or https://HOST:PORT if the coordinator uses TLS".to_owned()),
            })?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE);
        let channel = wire
            .connect(&endpoint)
            .await
            .map_err(|error| CliError::Unreachable { url: url.to_owned(), cause: innermost(&error) })?;
        if let Wire::Tls(session) = wire
            && session.credentials().renewal() <= SystemTime::now()
            && let Err(error) = pretext_identity::renew(session, channel.clone()).await
        {
            tracing::warn!(%error, "the certificate could not be renewed; the present one is still valid");
        }
        Ok(channel)
    }

    /// Returns the URL of the coordinator.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns a client for questions about pushed data sets.
    pub(super) fn data(&self) -> DataClient<Channel> {
        self.data.clone()
    }

    /// Returns the error for a status that the coordinator answered instead of a result.
    pub(super) fn failed(&self, status: &Status) -> CliError {
        CliError::from_status(&self.url, status)
    }

    /// Submits the text of a sweep file.
    pub(super) async fn submit(&self, spec: &str, extent: Extent) -> Result<pb::SubmitReply, CliError> {
        let request_id = Uuid::now_v7().to_string();
        let request = pb::SubmitRequest { spec: spec.to_owned(), smoke: extent == Extent::Smoke, request_id };
        Ok(self.rpc.clone().submit(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns what a sweep file would run: the plan as JSON, and the ids of the stages that have a result.
    pub(super) async fn plan(&self, spec: &str, extent: Extent) -> Result<pb::PlanReply, CliError> {
        let request = pb::PlanRequest { spec: spec.to_owned(), smoke: extent == Extent::Smoke };
        Ok(self.rpc.clone().plan(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns all sweeps, newest first.
    pub(super) async fn list(&self) -> Result<Vec<pb::SweepSummary>, CliError> {
        let reply = self.rpc.clone().list(pb::ListRequest {}).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().sweeps)
    }

    /// Returns the present state of a sweep, without curves.
    pub(super) async fn sweep(&self, sweep: &str) -> Result<SweepView, CliError> {
        self.get(pb::GetRequest { sweep: sweep.to_owned(), points: false }).await
    }

    /// Returns the present state of a sweep, with its curves.
    pub(super) async fn sweep_with_points(&self, sweep: &str) -> Result<SweepView, CliError> {
        self.get(pb::GetRequest { sweep: sweep.to_owned(), points: true }).await
    }

    async fn get(&self, request: pb::GetRequest) -> Result<SweepView, CliError> {
        let stream = self.rpc.clone().get(request).await.map_err(|status| self.failed(&status))?;
        let bytes = collect(stream.into_inner()).await.map_err(|status| self.failed(&status))?;
        self.decode(&bytes)
    }

    /// Parses JSON that the coordinator sent.
    pub(super) fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CliError> {
        serde_json::from_slice(bytes).map_err(|error| CliError::Environment {
            message: format!("cannot read the answer of {}: {error}", self.url),
            help: Some("use the same version of Pretext on both sides".to_owned()),
        })
    }

    /// Returns the stream of a sweep's progress, until all cells are final.
    pub(super) async fn watch(&self, sweep: &str) -> Result<Streaming<pb::WatchEvent>, CliError> {
        let request = pb::WatchRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().watch(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the next event of [`Client::watch`]; `None` if the stream has ended.
    pub(super) async fn next(
        &self,
        events: &mut Streaming<pb::WatchEvent>,
    ) -> Result<Option<pb::WatchEvent>, CliError> {
        events.message().await.map_err(|status| self.failed(&status))
    }

    /// Cancels a sweep.
    pub(super) async fn cancel(&self, sweep: &str) -> Result<pb::CancelReply, CliError> {
        let request = pb::CancelRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().cancel(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Lets failed stages run again; in a cancelled sweep, also the cancelled stages.
    pub(super) async fn retry(&self, sweep: &str) -> Result<pb::RetryReply, CliError> {
        let request = pb::RetryRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().retry(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the facts about a cell, one line each.
    pub(super) async fn explain(&self, cell: &str) -> Result<Vec<String>, CliError> {
        let request = pb::ExplainRequest { cell: cell.to_owned() };
        Ok(self.rpc.clone().explain(request).await.map_err(|status| self.failed(&status))?.into_inner().lines)
    }

    /// Returns all workers that the coordinator has heard of.
    pub(super) async fn workers(&self) -> Result<Vec<pb::WorkerSummary>, CliError> {
        let reply = self.rpc.clone().workers(pb::WorkersRequest {}).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().workers)
    }

    /// Returns a link into the web page, for `role` or with the caller's own rights.
    pub(super) async fn login(&self, role: Option<String>) -> Result<pb::LoginReply, CliError> {
        let request = pb::LoginRequest { role: role.unwrap_or_default() };
        Ok(self.web.clone().login(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the findings of the coordinator's check of a sweep against its store.
    pub(super) async fn verify(&self, sweep: &str) -> Result<Verification, CliError> {
        let request = pb::VerifyRequest { sweep: sweep.to_owned() };
        let reply = self.rpc.clone().verify(request).await.map_err(|status| self.failed(&status))?;
        self.decode(reply.into_inner().verification_json.as_bytes())
    }

    /// Writes a copy of the coordinator's store to `out`.
    pub(super) async fn backup(&self, out: &mut (dyn std::io::Write + Send)) -> Result<(), CliError> {
        let pieces = self.rpc.clone().backup(pb::BackupRequest {}).await.map_err(|status| self.failed(&status))?;
        let mut pieces = pieces.into_inner();
        while let Some(piece) = pieces.message().await.map_err(|status| self.failed(&status))? {
            write_piece(out, &piece.data)?;
        }
        Ok(())
    }

    /// Collects garbage, and calls `tell` for each artifact.
    pub(super) async fn collect(
        &self,
        request: pb::CollectRequest,
        mut tell: impl FnMut(pb::Collected),
    ) -> Result<(), CliError> {
        let stream = self.rpc.clone().collect(request).await.map_err(|status| self.failed(&status))?;
        let mut messages = stream.into_inner();
        while let Some(message) = messages.message().await.map_err(|status| self.failed(&status))? {
            tell(message);
        }
        Ok(())
    }

    /// Returns the content of an artifact; `None` if it is not stored, or not any more.
    pub(super) async fn fetch(&self, artifact: ArtifactId) -> Result<Option<Vec<u8>>, CliError> {
        let request = Request::new(pb::FetchRequest { artifact: artifact.to_string() });
        let content = match self.rpc.clone().fetch(request).await {
            Ok(stream) => collect(stream.into_inner()).await,
            Err(status) => Err(status),
        };
        match content {
            Ok(bytes) => Ok(Some(bytes)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.failed(&status)),
        }
    }
}

/// Checks that the coordinator at `url` leads: a standby reports to health checks that it does not serve.
async fn leads(url: &str, channel: Channel) -> Result<(), CliError> {
    let unreachable = |cause: &str| CliError::Unreachable { url: url.to_owned(), cause: cause.to_owned() };
    let mut check = Request::new(HealthCheckRequest { service: SERVICE_NAME.to_owned() });
    check.set_timeout(SILENCE);
    let answer = HealthClient::new(channel).check(check).await.map_err(|status| unreachable(status.message()))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        _ => Err(unreachable("it is a standby")),
    }
}

async fn collect(mut pieces: Streaming<pb::Chunk>) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        bytes.extend_from_slice(&piece.data);
    }
    Ok(bytes)
}
