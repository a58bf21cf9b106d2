//! The client of the coordinator's gRPC interface: takes questions, returns answers or a [`ClientError`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_proto::v1::data_client::DataClient;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::web_client::WebClient;
use pretext_shared::ids::ArtifactId;
use pretext_shared::stage::Extent;
use pretext_shared::sweep::SweepView;
use pretext_shared::verification::Verification;
use serde::de::DeserializeOwned;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use uuid::Uuid;

use crate::address::Target;
use crate::error::{ClientError, innermost};
use crate::leader::leads;

/// Time without an answer after which the client asks whether the coordinator is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// Size of the largest accepted message: the plan of a large sweep is one message.
const MAX_ANSWER: usize = 256 << 20;

/// A connection to a coordinator.
#[derive(Clone)]
pub struct Client {
    rpc: SweepsClient<Channel>,
    web: WebClient<Channel>,
    data: DataClient<Channel>,
    url: String,
    /// All addresses at which the leading coordinator may be.
    targets: Arc<[Target]>,
}

impl Client {
    /// Connects to the coordinator that leads among `targets`.
    ///
    /// # Errors
    /// When none leads.
    pub async fn connect(targets: Vec<Target>) -> Result<Self, ClientError> {
        Self::look(&targets.into()).await
    }

    /// Connects again after the coordinator went away: another one may lead now.
    ///
    /// # Errors
    /// If no coordinator leads; the former connection stays.
    pub async fn look_again(&mut self) -> Result<(), ClientError> {
        if self.targets.len() > 1 {
            *self = Self::look(&self.targets).await?;
        }
        Ok(())
    }

    async fn look(targets: &Arc<[Target]>) -> Result<Self, ClientError> {
        let mut failed = ClientError::Refused("no coordinator was named".to_owned());
        for target in targets.iter() {
            let url = target.address.url();
            let found = async {
                let channel = Self::dial(target).await?;
                if targets.len() > 1 {
                    leads(url, channel.clone(), SILENCE).await?;
                }
                Ok(channel)
            };
            match found.await {
                Ok(channel) => {
                    let web = WebClient::new(channel.clone());
                    let data = DataClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
                    let rpc = SweepsClient::new(channel).max_decoding_message_size(MAX_ANSWER);
                    return Ok(Self { rpc, web, data, url: url.to_owned(), targets: targets.clone() });
                }
                Err(error @ ClientError::Unreachable { .. }) => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    async fn dial(Target { address, wire }: &Target) -> Result<Channel, ClientError> {
        let endpoint = address.endpoint(SILENCE, SILENCE);
        let channel = wire
            .connect(&endpoint)
            .await
            .map_err(|error| ClientError::Unreachable { url: address.url().to_owned(), cause: innermost(&error) })?;
        if let Wire::Tls(session) = wire
            && session.credentials().renewal() <= SystemTime::now()
            && let Err(error) = pretext_identity::renew(session, channel.clone()).await
        {
            tracing::warn!(%error, "the certificate could not be renewed; the present one is still valid");
        }
        Ok(channel)
    }

    /// Returns the URL of the coordinator.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns a client for questions about pushed data sets.
    pub fn data(&self) -> DataClient<Channel> {
        self.data.clone()
    }

    /// Returns the error for a status that the coordinator answered instead of a result.
    pub fn failed(&self, status: &Status) -> ClientError {
        ClientError::from_status(&self.url, status)
    }

    /// Submits the text of a sweep file.
    pub async fn submit(&self, spec: &str, extent: Extent) -> Result<pb::SubmitReply, ClientError> {
        let request_id = Uuid::now_v7().to_string();
        let request = pb::SubmitRequest { spec: spec.to_owned(), smoke: extent == Extent::Smoke, request_id };
        Ok(self.rpc.clone().submit(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns what a sweep file would run: the plan as JSON, and the ids of the stages that have a result.
    pub async fn plan(&self, spec: &str, extent: Extent) -> Result<pb::PlanReply, ClientError> {
        let request = pb::PlanRequest { spec: spec.to_owned(), smoke: extent == Extent::Smoke };
        Ok(self.rpc.clone().plan(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns all sweeps, newest first.
    pub async fn list(&self) -> Result<Vec<pb::SweepSummary>, ClientError> {
        let reply = self.rpc.clone().list(pb::ListRequest {}).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().sweeps)
    }

    /// Returns the present state of a sweep, without curves.
    pub async fn sweep(&self, sweep: &str) -> Result<SweepView, ClientError> {
        self.get(pb::GetRequest { sweep: sweep.to_owned(), points: false }).await
    }

    /// Returns the present state of a sweep, with its curves.
    pub async fn sweep_with_points(&self, sweep: &str) -> Result<SweepView, ClientError> {
        self.get(pb::GetRequest { sweep: sweep.to_owned(), points: true }).await
    }

    async fn get(&self, request: pb::GetRequest) -> Result<SweepView, ClientError> {
        let stream = self.rpc.clone().get(request).await.map_err(|status| self.failed(&status))?;
        let bytes = collect(stream.into_inner()).await.map_err(|status| self.failed(&status))?;
        self.decode(&bytes)
    }

    /// Parses JSON that the coordinator sent.
    pub fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ClientError> {
        let unreadable =
            |error: serde_json::Error| ClientError::Unreadable { url: self.url.clone(), cause: error.to_string() };
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// Returns the stream of a sweep's progress, until all cells are final.
    pub async fn watch(&self, sweep: &str) -> Result<Streaming<pb::WatchEvent>, ClientError> {
        let request = pb::WatchRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().watch(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the next event of [`Client::watch`]; `None` if the stream has ended.
    pub async fn next(&self, events: &mut Streaming<pb::WatchEvent>) -> Result<Option<pb::WatchEvent>, ClientError> {
        events.message().await.map_err(|status| self.failed(&status))
    }

    /// Cancels a sweep.
    pub async fn cancel(&self, sweep: &str) -> Result<pb::CancelReply, ClientError> {
        let request = pb::CancelRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().cancel(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Lets failed stages run again; in a cancelled sweep, also the cancelled stages.
    pub async fn retry(&self, sweep: &str) -> Result<pb::RetryReply, ClientError> {
        let request = pb::RetryRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().retry(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Deletes a sweep that does not run.
    pub async fn delete(&self, sweep: &str) -> Result<pb::DeleteReply, ClientError> {
        let request = pb::DeleteRequest { sweep: sweep.to_owned() };
        Ok(self.rpc.clone().delete(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the facts about a cell, one line each.
    pub async fn explain(&self, cell: &str) -> Result<Vec<String>, ClientError> {
        let request = pb::ExplainRequest { cell: cell.to_owned() };
        Ok(self.rpc.clone().explain(request).await.map_err(|status| self.failed(&status))?.into_inner().lines)
    }

    /// Returns all workers that the coordinator has heard of.
    pub async fn workers(&self) -> Result<Vec<pb::WorkerSummary>, ClientError> {
        let reply = self.rpc.clone().workers(pb::WorkersRequest {}).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().workers)
    }

    /// Returns a link into the web page, for `role` or with the caller's own rights.
    pub async fn login(&self, role: Option<String>) -> Result<pb::LoginReply, ClientError> {
        let request = pb::LoginRequest { role: role.unwrap_or_default() };
        Ok(self.web.clone().login(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns a token with which scripts can read the page's JSON interface.
    pub async fn token(&self) -> Result<pb::TokenReply, ClientError> {
        Ok(self.web.clone().token(pb::TokenRequest {}).await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// Returns the findings of the coordinator's check of a sweep against its store.
    pub async fn verify(&self, sweep: &str) -> Result<Verification, ClientError> {
        let request = pb::VerifyRequest { sweep: sweep.to_owned() };
        let reply = self.rpc.clone().verify(request).await.map_err(|status| self.failed(&status))?;
        self.decode(reply.into_inner().verification_json.as_bytes())
    }

    /// Hands a copy of the coordinator's store to `keep`, piece by piece.
    ///
    /// # Errors
    /// The client's, or the first of `keep`.
    pub async fn backup<E: From<ClientError>>(&self, mut keep: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let pieces = self.rpc.clone().backup(pb::BackupRequest {}).await.map_err(|status| self.failed(&status))?;
        let mut pieces = pieces.into_inner();
        while let Some(piece) = pieces.message().await.map_err(|status| self.failed(&status))? {
            keep(&piece.data)?;
        }
        Ok(())
    }

    /// Collects garbage, and calls `tell` for each artifact.
    pub async fn collect(
        &self,
        request: pb::CollectRequest,
        mut tell: impl FnMut(pb::Collected),
    ) -> Result<(), ClientError> {
        let stream = self.rpc.clone().collect(request).await.map_err(|status| self.failed(&status))?;
        let mut messages = stream.into_inner();
        while let Some(message) = messages.message().await.map_err(|status| self.failed(&status))? {
            tell(message);
        }
        Ok(())
    }

    /// Returns the content of an artifact; `None` if it is not stored, or not any more.
    pub async fn fetch(&self, artifact: ArtifactId) -> Result<Option<Vec<u8>>, ClientError> {
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

async fn collect(mut pieces: Streaming<pb::Chunk>) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        bytes.extend_from_slice(&piece.data);
    }
    Ok(bytes)
}
