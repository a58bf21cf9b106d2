//! Visitors of the web page, and their rights.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pretext_identity::Role;
use serde::{Deserialize, Serialize};

use crate::identity::Identity;

/// The right of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Right {
    /// Look.
    Read,
    /// Look, cancel and retry.
    Submit,
}

impl Right {
    /// Returns the lifetime of a session: read-only sessions last a week, so that a screen on the wall can show the
    /// page.
    pub(super) fn session_life(self) -> Duration {
        match self {
            Right::Read => Duration::from_secs(7 * 24 * 3600),
            Right::Submit => Duration::from_secs(12 * 3600),
        }
    }

    /// Returns the right of an identity's role; workers get none.
    pub(super) fn of(role: Role) -> Option<Self> {
        match role {
            Role::Worker => None,
            Role::Submit => Some(Right::Submit),
            Role::Read => Some(Right::Read),
        }
    }

    /// Returns `read` or `submit`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Submit => "submit",
        }
    }
}

/// A visitor: a right, and the certificate that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    /// The visitor's right.
    pub(super) right: Right,
    /// The identity that created the link; `None` if it was created without TLS.
    pub(super) holder: Option<Holder>,
}

/// The identity that created a link: when it is revoked, the session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    role: Role,
    name: String,
    since_ms: u64,
}

impl Holder {
    /// Returns the holder of a certificate.
    pub(super) fn of(identity: &Identity) -> Self {
        let since_ms = identity.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self { role: identity.role, name: identity.name.clone(), since_ms }
    }

    /// Returns the identity as the register knows it.
    pub(super) fn identity(&self) -> Identity {
        let since: SystemTime = UNIX_EPOCH + Duration::from_millis(self.since_ms);
        Identity { role: self.role, name: self.name.clone(), serial: String::new(), since, not_after: since }
    }
}

impl Visitor {
    /// Returns the name of the visitor in logs and on the page.
    pub(super) fn label(&self) -> String {
        match &self.holder {
            Some(holder) => format!("{}/{}", self.right.as_str(), holder.name),
            None => self.right.as_str().to_owned(),
        }
    }
}
