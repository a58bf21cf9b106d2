//! Sessions: one file each, named by the hash of the secret in the browser's cookie. Sessions survive restarts of the
//! coordinator. A copy of the files is not enough to log in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::secret::{Hashed, NoRandomness, Secret};
use super::visitor::Visitor;
use crate::identity::Register;

/// Most sessions at a time: more are not needed, and each is a file.
const MAX_SESSIONS: usize = 1024;

/// The reason why a session could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
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
    /// There are too many sessions.
    #[error(
        "there are {MAX_SESSIONS} sessions already: log out in another browser, or wait until some sessions expire"
    )]
    TooMany,
    /// No secret can be drawn.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    visitor: Visitor,
    not_after_ms: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    folder: PathBuf,
    /// Register of the revoked identities; `None` without TLS.
    register: Option<Register>,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SessionError {
    let path = path.to_owned();
    move |cause| SessionError::Io { action, path, cause }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

impl Sessions {
    /// Opens the sessions below `folder`, which is created if it is missing.
    pub(super) fn open(folder: &Path, register: Option<Register>) -> Result<Self, SessionError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed("make", folder))?;
        Ok(Self { folder: folder.to_owned(), register })
    }

    fn path(&self, secret: &Hashed) -> PathBuf {
        self.folder.join(format!("{}.json", secret.as_str()))
    }

    /// Begins a session and returns its secret, which goes to the browser.
    pub(super) fn begin(&self, visitor: Visitor, now: SystemTime) -> Result<Secret, SessionError> {
        if self.sweep(now)? >= MAX_SESSIONS {
            return Err(SessionError::TooMany);
        }
        let secret = Secret::draw()?;
        let not_after_ms = millis(now + visitor.right.session_life());
        let text = serde_json::json!({ "visitor": visitor, "not_after_ms": not_after_ms }).to_string();
        let path = self.path(&secret.hashed());
        // If a crash leaves a partial file, it is not a session; the person logs in again.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed("make", &path))?;
        file.write_all(text.as_bytes()).map_err(failed("write", &path))?;
        Ok(secret)
    }

    /// Returns the visitor of a session that has not expired and whose holder was not revoked.
    pub(super) fn find(&self, secret: &Secret, now: SystemTime) -> Option<Visitor> {
        let text = fs::read(self.path(&secret.hashed())).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        if record.not_after_ms <= millis(now) {
            return None;
        }
        if let Some(holder) = &record.visitor.holder {
            // A session from a certificate is not valid on a server that no longer uses certificates.
            let revoked = self.register.as_ref()?.is_revoked(&holder.identity());
            if !matches!(revoked, Ok(false)) {
                return None;
            }
        }
        Some(record.visitor)
    }

    /// Ends a session. A missing session counts as ended.
    pub(super) fn end(&self, secret: &Secret) -> Result<(), SessionError> {
        remove(&self.path(&secret.hashed()))
    }

    /// Removes expired sessions; returns how many are left.
    fn sweep(&self, now: SystemTime) -> Result<usize, SessionError> {
        let mut left = 0;
        for entry in fs::read_dir(&self.folder).map_err(failed("list", &self.folder))? {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            let record = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
            if record.is_some_and(|record| record.not_after_ms > millis(now)) {
                left += 1;
            } else {
                remove(&path)?;
            }
        }
        Ok(left)
    }
}

fn remove(path: &Path) -> Result<(), SessionError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretext_identity::Role;

    use super::*;
    use crate::http::visitor::{Holder, Right};
    use crate::identity::Identity;

    #[test]
    fn a_session_outlives_the_process_and_ends_with_its_time_or_its_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("sessions");
        let now = SystemTime::now();
        let visitor = Visitor { right: Right::Submit, holder: None };
        let plain = Sessions::open(&root, None).expect("a folder");
        let secret = plain.begin(visitor.clone(), now).expect("room");
        let again = Sessions::open(&root, None).expect("a folder");
        assert_eq!(again.find(&secret, now), Some(visitor.clone()));
        let end = now + Right::Submit.session_life();
        assert_eq!(again.find(&secret, end), None);
        let names: Vec<String> = fs::read_dir(&root)
            .expect("a folder")
            .flatten()
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, [format!("{}.json", secret.hashed().as_str())], "the secret itself is nowhere");
        assert!(!fs::read_to_string(root.join(&names[0])).expect("text").contains(secret.as_str()));
        // The next login removes expired sessions.
        let next = again.begin(visitor, end).expect("room");
        assert_eq!(fs::read_dir(&root).expect("a folder").count(), 1);
        again.end(&next).expect("a file");
        assert_eq!(again.find(&next, end), None);

        let register = Register::open(&folder.path().join("identity")).expect("a register");
        let guarded = Sessions::open(&root, Some(register.clone())).expect("a folder");
        let identity = Identity {
            role: Role::Read,
            name: "ann".to_owned(),
            serial: "1".to_owned(),
            since: now - Duration::from_secs(60),
            not_after: end,
        };
        let reader = Visitor { right: Right::Read, holder: Some(Holder::of(&identity)) };
        let secret = guarded.begin(reader.clone(), now).expect("room");
        assert_eq!(guarded.find(&secret, now), Some(reader));
        register.revoke_name(Role::Read, "ann", now).expect("a name");
        assert_eq!(guarded.find(&secret, now), None, "shut out");
    }
}
