//! Who looks at the page.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pretext_identity::Role;
use serde::{Deserialize, Serialize};

use crate::identity::Identity;

/// What a visitor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Right {
    /// Look.
    Read,
    /// Look, cancel and retry.
    Submit,
}

impl Right {
    /// How long a session with it lasts: who can change nothing may leave a screen on the wall for a week.
    pub(super) fn session_life(self) -> Duration {
        match self {
            Right::Read => Duration::from_secs(7 * 24 * 3600),
            Right::Submit => Duration::from_secs(12 * 3600),
        }
    }

    /// The right that an identity's role gives; workers get none.
    pub(super) fn of(role: Role) -> Option<Self> {
        match role {
            Role::Worker => None,
            Role::Submit => Some(Right::Submit),
            Role::Read => Some(Right::Read),
        }
    }

    /// `read` or `submit`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Submit => "submit",
        }
    }
}

/// A visitor: what it may do, and by whose certificate it got in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    /// What it may do.
    pub(super) right: Right,
    /// Whose link it was; `None` for one that was made without TLS.
    pub(super) holder: Option<Holder>,
}

/// The identity that asked for a link: a session ends when it is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    role: Role,
    name: String,
    since_ms: u64,
}

impl Holder {
    /// The holder of a certificate.
    pub(super) fn of(identity: &Identity) -> Self {
        let since_ms = identity.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self { role: identity.role, name: identity.name.clone(), since_ms }
    }

    /// As the register of identities knows it.
    pub(super) fn identity(&self) -> Identity {
        let since: SystemTime = UNIX_EPOCH + Duration::from_millis(self.since_ms);
        Identity { role: self.role, name: self.name.clone(), serial: String::new(), since, not_after: since }
    }
}

impl Visitor {
    /// What logs and the page call it.
    pub(super) fn label(&self) -> String {
        match &self.holder {
            Some(holder) => format!("{}/{}", self.right.as_str(), holder.name),
            None => self.right.as_str().to_owned(),
        }
    }
}
