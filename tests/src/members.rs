//! Identities for coordinators with TLS, made by the commands of docs/cluster.md.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pretext_identity::{Folder, JoinToken, TlsSession, Wire};
use tonic::transport::{Channel, Endpoint};

use crate::{Scratch, coordinator};

fn text(path: &Path) -> &str {
    path.to_str().expect("a text path")
}

/// Makes the authority of the coordinators with the state in `folder/state`.
pub fn authority(folder: &Scratch) {
    coordinator(folder, &["init-ca", "--state-dir", text(&folder.path("state"))]).expect(0);
}

/// Returns a file with a join token for one identity.
pub fn token(folder: &Scratch, role: &str, name: &str) -> PathBuf {
    let state = folder.path("state");
    let made = coordinator(folder, &["token", "create", "--role", role, "--state-dir", text(&state)]).expect(0);
    folder.file(&format!("{name}.token"), &made.stdout)
}

/// Joins as `name` at `url`, and returns the folder of the credentials.
pub fn join(folder: &Scratch, url: &str, role: &str, name: &str) -> PathBuf {
    let (token, credentials) = (token(folder, role, name), folder.path(&format!("{name}.credentials")));
    let to = ["join", url, "--name", name, "--token-file", text(&token), "--credentials", text(&credentials)];
    coordinator(folder, &to).expect(0);
    credentials
}

/// Returns a channel to `url` with these credentials.
pub fn channel(url: &str, credentials: &Path) -> Channel {
    let folder = Folder::new(credentials);
    let kept = folder.load().expect("readable").expect("it joined");
    let wire = Wire::Tls(Arc::new(TlsSession::new(folder, kept).expect("good credentials")));
    wire.connect_lazy(&endpoint(url))
}

/// Returns a channel to `url` without a certificate, to a server of the authority that `token` pins.
pub async fn stranger(url: &str, token: &Path) -> Channel {
    let token: JoinToken = std::fs::read_to_string(token).expect("a token").parse().expect("a token");
    pretext_identity::stranger(token.pin, &endpoint(url)).await.expect("the pinned authority's server")
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::from_shared(url.to_owned()).expect("a URL")
}
