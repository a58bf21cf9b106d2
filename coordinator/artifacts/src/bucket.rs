//! Artifacts in a bucket of S3-compatible storage, under the keys that they have in a directory: `PREFIX/XX/YYYY…`.
//!
//! A small artifact stays in memory until its hash is checked, and is then put in one request, on the condition that it
//! does not exist. A large one is sent in parts, which nobody can see until the upload is completed; it is completed
//! after its hash is checked. Requests with a transient failure are repeated with back-off for [`PATIENCE`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
};
use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::ArtifactId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

use super::credentials::CredentialsFile;
use super::location::BucketAddress;
use super::{ArtifactError, AwsVariables, Pieces};

/// Size of the parts of larger artifacts, in bytes: S3 allows no less than 5 MiB, and at most 10,000 parts.
const PART: usize = 8 << 20;
/// Most simultaneous uploads: each has at most two parts in memory. Others wait.
const UPLOADS: usize = 16;
/// How long a failing request is repeated. After that the caller gets the error, and decides.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses before a listing that broke off starts again.
const LIST_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence of a server, also while a part is sent to it.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    address: BucketAddress,
    uploads: Arc<Semaphore>,
}

impl Bucket {
    /// Returns the bucket, without a request to the server.
    pub(super) async fn open(address: &BucketAddress, variables: &AwsVariables) -> Result<Self, ArtifactError> {
        let store = Arc::new(connect(address, variables).await?);
        Ok(Self { store, address: address.clone(), uploads: Arc::new(Semaphore::new(UPLOADS)) })
    }

    /// Tries all operations that are needed: looks for a missing object, puts it, puts it again, and removes it.
    pub(super) async fn probe(&self) -> Result<(), ArtifactError> {
        let key = self.key(&format!("probe-{}", uuid::Uuid::now_v7()));
        match self.store.head(&key).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(cause) => return Err(self.failed("look into", None)(cause)),
        }
        let put = || self.store.put_opts(&key, PutPayload::from_static(b"probe"), PutMode::Create.into());
        match put().await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => {}
            Err(cause) => return Err(self.failed("write to", None)(cause)),
        }
        match put().await {
            Err(Error::AlreadyExists { .. }) => {}
            // The stored data are still right: the same name has the same content.
            Ok(_) => tracing::warn!(bucket = %self.address, "the server accepts a second write of an existing object"),
            Err(cause) => return Err(self.failed("write to", None)(cause)),
        }
        self.store.delete(&key).await.map_err(self.failed("remove an object from", None))
    }

    fn key(&self, name: &str) -> Path {
        if self.address.prefix.is_empty() {
            Path::from(name)
        } else {
            Path::from(format!("{}/{name}", self.address.prefix))
        }
    }

    fn key_of(&self, id: ArtifactId) -> Path {
        let name = id.to_string();
        self.key(&format!("{}/{}", &name[..2], &name[2..]))
    }

    /// Returns the error of an action on an artifact, or on the bucket.
    fn failed(&self, action: &'static str, id: Option<ArtifactId>) -> impl FnOnce(Error) -> ArtifactError + use<> {
        let place = match id {
            Some(id) => format!("artifact {} in {}", id.short(), self.address),
            None => self.address.to_string(),
        };
        move |cause| match (id, cause) {
            (Some(id), Error::NotFound { .. }) => ArtifactError::Missing(id),
            (_, cause) => ArtifactError::Bucket { action, place, cause: Box::new(cause) },
        }
    }

    pub(super) async fn has(&self, id: ArtifactId) -> Result<bool, ArtifactError> {
        match self.store.head(&self.key_of(id)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(cause) => Err(self.failed("look for", Some(id))(cause)),
        }
    }

    /// Begins an upload. Waits while there are too many others.
    pub(super) async fn draft(&self, id: ArtifactId) -> PendingObject {
        // The semaphore is never closed, so this cannot fail.
        let place = self.uploads.clone().acquire_owned().await.ok();
        PendingObject { bucket: self.clone(), id, buffer: Vec::new(), multipart: None, _place: place }
    }

    pub(super) async fn pieces(&self, id: ArtifactId) -> Result<Pieces, ArtifactError> {
        let found = self.store.get(&self.key_of(id)).await.map_err(self.failed("read", Some(id)))?;
        let bucket = self.clone();
        let stream = found.into_stream();
        Ok(Pieces::of_object(stream.map(move |piece| piece.map(Vec::from).map_err(bucket.failed("read", Some(id))))))
    }

    pub(super) async fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        match self.store.delete(&self.key_of(id)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("remove", Some(id))(cause)),
        }
    }

    /// Returns all pages of the listing. If a page fails, the listing starts again: the client repeats only single
    /// requests.
    pub(super) async fn list(&self) -> Result<Vec<StoredArtifact>, ArtifactError> {
        for pause in LIST_PAUSES {
            match self.try_list().await {
                Err(error) => tracing::info!(%error, "the listing failed and starts again"),
                listed => return listed,
            }
            tokio::time::sleep(pause).await;
        }
        self.try_list().await
    }

    /// Skips objects whose keys are not artifact names: they belong to somebody else.
    async fn try_list(&self) -> Result<Vec<StoredArtifact>, ArtifactError> {
        let prefix = (!self.address.prefix.is_empty()).then(|| Path::from(self.address.prefix.as_str()));
        let mut objects = self.store.list(prefix.as_ref());
        let (now, mut found) = (SystemTime::now(), Vec::new());
        while let Some(object) = objects.next().await {
            let object = object.map_err(self.failed("list", None))?;
            let key = object.location.as_ref();
            let name = key.strip_prefix(&self.address.prefix).unwrap_or(key).trim_start_matches('/');
            let halves = name.split_once('/').filter(|(first, _)| first.len() == 2);
            let Some(artifact) = halves.and_then(|(first, rest)| format!("{first}{rest}").parse().ok()) else {
                continue;
            };
            let put = SystemTime::from(object.last_modified);
            found.push(StoredArtifact {
                artifact,
                bytes: object.size,
                age: now.duration_since(put).unwrap_or_default(),
            });
        }
        Ok(found)
    }
}

/// Returns a client of the bucket, with the settings of the variables.
async fn connect(address: &BucketAddress, variables: &AwsVariables) -> Result<AmazonS3, ArtifactError> {
    // The client uses the TLS provider of the process; if one is installed already, it is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allows_http = plain_text(variables)?;
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(3), base: 2.0 };
    let client = ClientOptions::new()
        .with_allow_http(allows_http)
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE)
        // A large artifact may take any time, as long as data flow.
        .with_timeout_disabled();
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client)
        .with_retry(RetryConfig { backoff, max_retries: 20, retry_timeout: PATIENCE })
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One request per object: every server supports that.
        .with_disable_bulk_delete(true);
    for (name, value) in variables.iter() {
        // `AWS_ALLOW_HTTP` is handled above; unknown names are meant for other programs.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            && name != "AWS_ALLOW_HTTP"
        {
            builder = builder.with_config(key, value);
        }
    }
    let has_keys =
        ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"].iter().any(|name| variables.get(name).is_some());
    if let Some(path) = variables.get("AWS_SHARED_CREDENTIALS_FILE").filter(|_| !has_keys) {
        let profile = variables.get("AWS_PROFILE").unwrap_or("default").to_owned();
        let file = CredentialsFile { path: path.into(), profile };
        // Read the credentials now too, so that a mistake is reported at the start.
        file.read().await?;
        builder = builder.with_credentials(Arc::new(file));
    }
    builder.with_bucket_name(&address.bucket).build().map_err(|cause| ArtifactError::Bucket {
        action: "use",
        place: address.to_string(),
        cause: Box::new(cause),
    })
}

/// Returns whether requests use plain text: on loopback, or if `AWS_ALLOW_HTTP` allows it.
fn plain_text(variables: &AwsVariables) -> Result<bool, ArtifactError> {
    let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let Some(endpoint) = endpoints.iter().find_map(|name| variables.get(name)) else { return Ok(false) };
    let url: http::Uri = endpoint.parse().map_err(|_| {
        ArtifactError::Settings(format!("AWS_ENDPOINT_URL is not a URL: `{}`", endpoint.escape_debug()))
    })?;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    match url.scheme_str() {
        Some("https") => Ok(false),
        Some("http") if host == "localhost" => Ok(true),
        Some("http") if host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) => Ok(true),
        Some("http") if variables.get("AWS_ALLOW_HTTP").is_some_and(|said| said.eq_ignore_ascii_case("true")) => {
            Ok(true)
        }
        Some("http") => Err(ArtifactError::Settings(format!(
            "{endpoint} uses plain text: anyone on the network path can read and change artifacts. Use https://, or set \
             AWS_ALLOW_HTTP=true"
        ))),
        _ => Err(ArtifactError::Settings(format!(
            "AWS_ENDPOINT_URL must begin with https:// (or http:// on loopback): `{}`",
            endpoint.escape_debug()
        ))),
    }
}

/// An upload into the bucket.
#[derive(Debug)]
pub(super) struct PendingObject {
    bucket: Bucket,
    id: ArtifactId,
    /// Content that was not sent yet.
    buffer: Vec<u8>,
    multipart: Option<Multipart>,
    _place: Option<OwnedSemaphorePermit>,
}

/// An upload in parts. The server keeps the parts until the upload is completed or aborted.
#[derive(Debug)]
struct Multipart {
    upload: Box<dyn MultipartUpload>,
    /// The part that is being sent.
    sending: Option<JoinHandle<object_store::Result<()>>>,
}

impl Multipart {
    /// Waits until the part is sent.
    async fn sent(&mut self) -> object_store::Result<()> {
        match self.sending.take() {
            None => Ok(()),
            Some(sending) => sending.await.unwrap_or_else(|source| Err(Error::JoinError { source })),
        }
    }

    async fn send(&mut self, part: Vec<u8>) -> object_store::Result<()> {
        self.sent().await?;
        self.sending = Some(tokio::spawn(self.upload.put_part(part.into())));
        Ok(())
    }

    /// Aborts the upload. If the server does not receive this request, its own rules for incomplete uploads must remove
    /// the parts.
    async fn abort(mut self) {
        // A part that arrives after the abort would stay.
        let _ = self.sent().await;
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(%error, "the parts of an aborted upload stay in the bucket");
        }
    }
}

impl PendingObject {
    pub(super) async fn write(&mut self, mut piece: &[u8]) -> Result<(), ArtifactError> {
        while self.buffer.len() + piece.len() > PART {
            let (fits, rest) = piece.split_at(PART - self.buffer.len());
            self.buffer.extend_from_slice(fits);
            piece = rest;
            let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART));
            self.send(part).await?;
        }
        self.buffer.extend_from_slice(piece);
        Ok(())
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), ArtifactError> {
        if self.multipart.is_none() {
            let upload = self.bucket.store.put_multipart(&self.bucket.key_of(self.id)).await;
            self.multipart = Some(Multipart { upload: upload.map_err(self.failed())?, sending: None });
        }
        match &mut self.multipart {
            Some(multipart) => multipart.send(part).await.map_err(self.bucket.failed("write", None)),
            None => Ok(()),
        }
    }

    fn failed(&self) -> impl FnOnce(Error) -> ArtifactError + use<> {
        // Without the id: a missing bucket must not look like a missing artifact.
        self.bucket.failed("write to", None)
    }

    /// Makes the content visible. Its hash has been checked.
    pub(super) async fn finish(mut self) -> Result<(), ArtifactError> {
        let last = std::mem::take(&mut self.buffer);
        let Some(multipart) = &mut self.multipart else {
            let key = self.bucket.key_of(self.id);
            return match self.bucket.store.put_opts(&key, last.into(), PutMode::Create.into()).await {
                Ok(_) => Ok(()),
                // Either the same content is stored, or another upload of it is in progress and may still fail.
                Err(Error::AlreadyExists { .. }) if self.bucket.has(self.id).await? => Ok(()),
                Err(cause) => Err(self.failed()(cause)),
            };
        };
        let completed = async {
            multipart.send(last).await?;
            multipart.sent().await?;
            multipart.upload.complete().await
        };
        completed.await.map_err(self.bucket.failed("write to", None))?;
        self.multipart = None;
        Ok(())
    }
}

impl Drop for PendingObject {
    fn drop(&mut self) {
        let Some(multipart) = self.multipart.take() else { return };
        // Outside a runtime the server cannot be told.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(multipart.abort());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_beyond_loopback_is_said_in_words() {
        let asked = |variables: &[(&str, &str)]| {
            let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            plain_text(&owned.collect())
        };
        assert!(!asked(&[]).expect("Amazon's own"));
        assert!(!asked(&[("AWS_ENDPOINT_URL", "https://s3.lab:9000")]).expect("TLS"));
        for here in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"] {
            assert!(asked(&[("AWS_ENDPOINT_URL", here)]).expect("loopback"), "{here}");
        }
        let open = ("AWS_ENDPOINT_URL_S3", "http://s3.lab:9000");
        assert!(asked(&[open]).expect_err("plain text").to_string().contains("AWS_ALLOW_HTTP=true"));
        assert!(asked(&[open, ("AWS_ALLOW_HTTP", "true")]).expect("said"));
        assert!(asked(&[("AWS_ENDPOINT_URL", "s3.lab:9000")]).is_err());
    }
}
