//! Connections to the server: finds it, connects, and reconnects. Transient failures are retried with back-off within a
//! time limit. Permanent failures, and failures at the time limit, are reported in a readable message.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use redis::{Connection, ErrorKind, RedisError, ServerError};

use super::address::{HostPort, Route, StoreAddress};
use crate::StoreError;

/// Time limits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the reply to a command.
    pub response: Duration,
    /// For all retries of one operation, before the coordinator gives up.
    pub budget: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), response: Duration::from_secs(10), budget: Duration::from_secs(60) }
    }
}

/// Pause between two attempts: the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The reason why an attempt failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The failure is transient.
    Passing {
        /// A readable message.
        cause: String,
        /// Whether the connection is broken.
        reconnect: bool,
    },
    /// The server has no room for writes, which may pass. The connection is usable.
    Full(String),
    /// A node of a cluster answers that another node has the keys.
    Moved(HostPort),
    /// The server refuses the user or the password.
    Access(String),
    /// The failure is permanent.
    Last(String),
}

impl Trouble {
    pub(super) fn last(cause: String) -> Self {
        Trouble::Last(cause)
    }

    /// Returns a transient failure that leaves the connection usable.
    pub(super) fn passing_still(cause: String) -> Self {
        Trouble::Passing { cause, reconnect: false }
    }

    fn passing(cause: impl Into<String>) -> Self {
        Trouble::Passing { cause: cause.into(), reconnect: true }
    }

    fn cause(self) -> String {
        match self {
            Trouble::Passing { cause, .. } | Trouble::Full(cause) | Trouble::Access(cause) | Trouble::Last(cause) => {
                cause
            }
            Trouble::Moved(to) => format!("{to} has the keys"),
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return refused_access(&error);
        }
        // In a transaction, the first refused command has the reason.
        let answers = error.clone().into_server_errors();
        if let Some((_, answer)) = answers.as_ref().and_then(|answers| answers.first()) {
            return answer.into();
        }
        match error.kind() {
            ErrorKind::Io if error.is_timeout() => Trouble::passing("it did not answer in time"),
            ErrorKind::Io => Trouble::passing(format!("the connection failed: {error}")),
            ErrorKind::Parse => Trouble::passing(format!("its answer is not Redis protocol: {error}")),
            _ => Trouble::Last(error.to_string()),
        }
    }
}

impl From<&ServerError> for Trouble {
    fn from(error: &ServerError) -> Self {
        let detail = error.details().unwrap_or_default();
        let still = |cause: &str| Trouble::passing_still(cause.to_owned());
        match error.code() {
            "MOVED" => match moved_to(detail) {
                Some(to) => Trouble::Moved(to),
                None => Trouble::Last(format!("it names the node of the keys in a form that cannot be read: {detail}")),
            },
            "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => Trouble::passing(format!("the cluster is not ready: {detail}")),
            "LOADING" => still("it is loading its data"),
            "READONLY" => Trouble::passing("it is a read-only replica: no fail-over has made it the primary"),
            "MASTERDOWN" => Trouble::passing("it is a replica that has lost its primary"),
            "UNBLOCKED" => Trouble::passing("its role changed"),
            "OOM" => Trouble::Full(
                "it has no memory left (maxmemory is reached): give it more memory, or remove other data from it"
                    .to_owned(),
            ),
            "MISCONF" => Trouble::Full(format!("it cannot write to its disk and refuses writes: {detail}")),
            "NOREPLICAS" => {
                still("too few of its replicas are connected (min-replicas-to-write), so it refuses writes")
            }
            "BUSY" => still("a script of another program keeps it busy"),
            "NOAUTH" | "WRONGPASS" => refused_access(error),
            "NOPERM" => Trouble::Last(format!(
                "its user may not do what a store needs: {detail} (docs/store.md lists the ACL rules)"
            )),
            _ => Trouble::Last(format!("it answers: {error}")),
        }
    }
}

fn refused_access(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Access(format!(
        "it refuses the user or the password ({error}): set them in the store's address or with --store-password-file"
    ))
}

/// Returns the node in the detail of `MOVED`: slot, then host and port.
fn moved_to(detail: &str) -> Option<HostPort> {
    let (host, port) = detail.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(HostPort { host, port: port.parse().ok()? })
}

/// A connection to the server, with what is needed to renew it.
pub(super) struct Link {
    address: StoreAddress,
    patience: Patience,
    password_file: Option<PathBuf>,
}

impl Link {
    pub(super) fn new(address: StoreAddress, patience: Patience, password_file: Option<PathBuf>) -> Self {
        Self { address, patience, password_file }
    }

    /// Tries `operation` until it succeeds, fails permanently, or the time limit is exceeded. Uses the connection in
    /// `slot`; replaces it if it is broken.
    pub(super) fn persist<T>(
        &self,
        slot: &mut Option<Connection>,
        mut operation: impl FnMut(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let begin = Instant::now();
        let mut pause = PAUSE.0;
        let mut told = false;
        let mut redirect = None;
        loop {
            let connection = match slot.take() {
                Some(connection) => Ok(connection),
                None => self.connect(redirect.take()),
            };
            let trouble = match connection {
                Ok(mut connection) => match operation(&mut connection) {
                    Ok(value) => {
                        *slot = Some(connection);
                        if told {
                            tracing::info!(store = %self.address, "the store answers again");
                        }
                        return Ok(value);
                    }
                    Err(trouble) => {
                        if let Trouble::Passing { reconnect: false, .. } | Trouble::Full(_) = trouble {
                            *slot = Some(connection);
                        }
                        trouble
                    }
                },
                Err(trouble) => trouble,
            };
            // The file may be about to get the new password that the server has already.
            let refused = matches!(trouble, Trouble::Access(_)) && self.password_file.is_none();
            if refused || matches!(trouble, Trouble::Last(_)) {
                let cause = trouble.cause();
                return Err(StoreError::Server { store: self.address.to_string(), cause });
            }
            if let Trouble::Moved(to) = &trouble {
                redirect = Some(to.clone());
            }
            let is_full = matches!(trouble, Trouble::Full(_));
            match trouble.cause() {
                cause if is_full && begin.elapsed() + pause > self.patience.budget => {
                    return Err(StoreError::Full { store: self.address.to_string(), cause });
                }
                cause if begin.elapsed() + pause > self.patience.budget => {
                    let seconds = self.patience.budget.as_secs();
                    return Err(StoreError::OutOfPatience { store: self.address.to_string(), cause, seconds });
                }
                cause => {
                    if !told {
                        let seconds = self.patience.budget.as_secs();
                        tracing::warn!(store = %self.address, %cause, seconds, "the store fails; retrying until the time limit");
                        told = true;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Tries once to connect to the present primary, or to the named node.
    fn connect(&self, redirect: Option<HostPort>) -> Result<Connection, Trouble> {
        let at = match (redirect, self.address.route()) {
            (Some(at), _) => at,
            (None, Route::Direct(at)) => at.clone(),
            (None, Route::Sentinels { sentinels, service }) => self.ask_sentinels(sentinels, service)?,
        };
        let mut connection = self.open(self.address()?.server(&at))?;
        if matches!(self.address.route(), Route::Sentinels { .. }) {
            // A sentinel may still name a server that has just been demoted.
            let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection)?;
            if !matches!(role.first(), Some(redis::Value::BulkString(role)) if role == b"master") {
                return Err(Trouble::passing(format!("{at}, which the sentinels name, is not the primary")));
            }
        }
        Ok(connection)
    }

    /// Returns the address with the password of the file, if there is a file.
    fn address(&self) -> Result<StoreAddress, Trouble> {
        let Some(file) = &self.password_file else { return Ok(self.address.clone()) };
        let password = std::fs::read_to_string(file)
            .map_err(|error| Trouble::passing(format!("cannot read its password in {}: {error}", file.display())))?;
        Ok(self.address.clone().with_password(password.trim_end_matches(['\r', '\n'])))
    }

    fn open(&self, info: Result<redis::ConnectionInfo, super::address::InvalidAddress>) -> Result<Connection, Trouble> {
        let info = info.map_err(|error| Trouble::Last(error.to_string()))?;
        let client = redis::Client::open(info)?;
        let connection = client.get_connection_with_timeout(self.patience.connect)?;
        // Set here: by default a blocking connection waits without limit, and an asynchronous one 500 ms.
        connection.set_read_timeout(Some(self.patience.response))?;
        connection.set_write_timeout(Some(self.patience.response))?;
        Ok(connection)
    }

    fn ask_sentinels(&self, sentinels: &[HostPort], service: &str) -> Result<HostPort, Trouble> {
        let mut causes = Vec::new();
        for sentinel in sentinels {
            let asked = self.open(self.address.bare(sentinel)).and_then(|mut connection| {
                let mut command = redis::cmd("SENTINEL");
                command.arg("get-master-addr-by-name").arg(service);
                Ok(command.query::<Option<(String, u16)>>(&mut connection)?)
            });
            match asked {
                Ok(Some((host, port))) => return Ok(HostPort { host, port }),
                Ok(None) => causes.push(format!("{sentinel} knows no service `{service}`")),
                Err(trouble) => causes.push(format!("{sentinel}: {}", trouble.cause())),
            }
        }
        Err(Trouble::passing(format!("no sentinel names a primary ({})", causes.join("; "))))
    }
}
