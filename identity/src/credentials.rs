//! The credentials of an identity: its key, its certificate and the authority's certificate, in one file that is
//! replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pretext_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::Role;

/// A certified identity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Time at which the certificate was obtained, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Time at which it expires, in milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// The authority's certificate (DER).
    pub authority: Vec<u8>,
    /// Its certificate (DER).
    pub certificate: Vec<u8>,
    /// Its private key (PKCS #8, DER).
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} {})", self.role, self.name)
    }
}

impl Credentials {
    /// Returns the credentials from a coordinator's reply to `name`, whose private key is `key`.
    ///
    /// # Errors
    /// If it certifies a role that this version does not know.
    pub fn certified(name: &str, key: Vec<u8>, reply: pb::JoinReply, now: SystemTime) -> Result<Self, String> {
        let pb::JoinReply { certificate, authority, role, not_after_ms } = reply;
        let role = role.parse()?;
        Ok(Self { role, name: name.to_owned(), since_ms: millis(now), not_after_ms, authority, certificate, key })
    }

    /// Returns whether the certificate has expired.
    pub fn has_ended(&self, now: SystemTime) -> bool {
        millis(now) >= self.not_after_ms
    }

    /// Returns when it should be renewed: after two thirds of its lifetime.
    pub fn renewal(&self) -> SystemTime {
        let life = self.not_after_ms.saturating_sub(self.since_ms);
        UNIX_EPOCH + Duration::from_millis(self.since_ms + life / 3 * 2)
    }
}

/// Returns the milliseconds since the Unix epoch.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The reason why credentials could not be saved or read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The disk failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// The failed action.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The content of the file is not valid.
    #[error("{path} is damaged ({cause}): remove it and join again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        cause: String,
    },
}

/// The folder with the credentials of one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Returns the folder at `path`; it is created at the first save.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> PathBuf {
        self.0.join("credentials.json")
    }

    /// Returns the credentials, if there are any.
    ///
    /// # Errors
    /// If the file exists and cannot be read.
    pub fn load(&self) -> Result<Option<Credentials>, CredentialsError> {
        let path = self.file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(CredentialsError::Io { action: "read", path, cause }),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| CredentialsError::Damaged { path, cause: error.to_string() })
    }

    /// Replaces the credentials durably; only their owner may read them.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn save(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let text = serde_json::to_vec(credentials)
            .map_err(|error| CredentialsError::Damaged { path: self.file(), cause: error.to_string() })?;
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |cause| CredentialsError::Io { action, path, cause }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed("make", &self.0))?;
        let temporary = self.0.join("credentials.json.new");
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed("make", &temporary))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed("write", &temporary))?;
        fs::rename(&temporary, self.file()).map_err(failed("rename", &temporary))?;
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(failed("sync", &self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn credentials_are_the_owners_alone_and_replaced_as_a_whole() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(home.path().join("identity"));
        assert_eq!(folder.load().expect("nothing is no error"), None);
        let mut credentials = Credentials {
            role: Role::Worker,
            name: "gpu-1".to_owned(),
            since_ms: 1_000,
            not_after_ms: 4_000,
            authority: vec![1],
            certificate: vec![2],
            key: vec![3],
        };
        folder.save(&credentials).expect("a writable folder");
        credentials.key = vec![4];
        folder.save(&credentials).expect("a writable folder");
        assert_eq!(folder.load().expect("readable"), Some(credentials.clone()));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.file())), (0o700, 0o600));
        assert_eq!(credentials.renewal(), UNIX_EPOCH + Duration::from_secs(3));
        assert!(credentials.has_ended(UNIX_EPOCH + Duration::from_secs(4)));
        fs::write(folder.file(), "{").expect("writable");
        assert!(folder.load().expect_err("damaged").to_string().contains("join again"));
    }
}
