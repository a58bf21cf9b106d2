//! The session behind a stream. A stream lasts longer than a request, so it asks now and then whether its session is
//! still valid.

use std::time::{Duration, SystemTime};

use super::secret::Secret;
use super::session::Sessions;

/// Time between two checks.
const CHECK: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct StreamSession {
    sessions: Sessions,
    secret: Secret,
    checked: SystemTime,
}

impl StreamSession {
    /// Returns the session of a stream that begins now, for a request whose session was just found.
    pub(super) fn begin(sessions: &Sessions, secret: Secret) -> Self {
        Self { sessions: sessions.clone(), secret, checked: SystemTime::now() }
    }

    /// Returns whether the session was valid at the last check. Checks again if that is long ago.
    pub(super) async fn is_valid(&mut self) -> bool {
        // A clock that was set back counts as a long time.
        if self.checked.elapsed().unwrap_or(CHECK) < CHECK {
            return true;
        }
        let (sessions, secret) = (self.sessions.clone(), self.secret.clone());
        let found = tokio::task::spawn_blocking(move || sessions.find(&secret, SystemTime::now())).await;
        self.checked = SystemTime::now();
        matches!(found, Ok(Some(_)))
    }
}
