//! A private `redis-server` that stores every write durably.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::processes::Guarded;
use crate::{Scratch, until};

/// A server that ends with the test, on a port of its own.
pub struct Redis {
    /// The process.
    pub process: Guarded,
    port: u16,
    folder: PathBuf,
    /// The file with its users, if it has one.
    users: Option<PathBuf>,
}

/// Starts a server on `port`. Returns `None` if it does not start because the port was taken meanwhile.
fn spawn(folder: &Path, port: u16, users: Option<&Path>) -> Option<Guarded> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir"])
        .arg(folder);
    if let Some(users) = users {
        command.arg("--aclfile").arg(users);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut process = Guarded(child.expect("redis-server is installed (tests/setup.sh test)"));
    let up = until("Redis listens or has ended", || match process.0.try_wait() {
        Ok(None) => {
            let is_ours = match users {
                None => answers_as(port) == Some(process.0.id()),
                // An unauthenticated caller learns nothing about the server.
                Some(_) => TcpStream::connect(("127.0.0.1", port)).is_ok(),
            };
            is_ours.then_some(true)
        }
        _ => Some(false),
    });
    up.then_some(process)
}

impl Redis {
    /// Starts an empty server with its files in `folder/redis`.
    pub fn start(folder: &Scratch) -> Self {
        Self::with(folder, None)
    }

    /// Starts a server with the users of deploy/, whose password is `password`.
    pub fn guarded(folder: &Scratch, password: &str) -> Self {
        let users = folder.path("users.acl");
        Self::with(folder, Some(write_users(users, password)))
    }

    fn with(folder: &Scratch, users: Option<PathBuf>) -> Self {
        let folder = folder.path("redis");
        std::fs::create_dir(&folder).expect("a writable folder");
        until("a Redis server runs", || {
            let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            let process = spawn(&folder, port, users.as_deref())?;
            Some(Self { process, port, folder: folder.clone(), users: users.clone() })
        })
    }

    /// Returns whether the program is installed.
    pub fn is_installed() -> bool {
        let mut command = Command::new("redis-server");
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Sends SIGKILL and starts the server again on the same files and port.
    pub fn kill_and_start(&mut self) {
        self.process.kill();
        self.process = until("Redis is back", || spawn(&self.folder, self.port, self.users.as_deref()));
    }

    /// Returns its URL for `--store`.
    pub fn url(&self) -> String {
        let user = if self.users.is_some() { "pretext@" } else { "" };
        format!("redis://{user}127.0.0.1:{}", self.port)
    }

    /// Ends it with SIGTERM and starts it again, on the same port and files.
    pub fn restart(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.ended();
        self.process = until("Redis runs again", || spawn(&self.folder, self.port, self.users.as_deref()));
    }

    /// Restarts it with another password for its user.
    pub fn restart_with(&mut self, password: &str) {
        self.users = self.users.take().map(|users| write_users(users, password));
        self.restart();
    }
}

/// Writes the users that deploy/ gives the server, with this password.
fn write_users(path: PathBuf, password: &str) -> PathBuf {
    let template = "../deploy/kubernetes/overlays/high-availability/users.acl";
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join(template);
    let users = std::fs::read_to_string(template).expect("the users of deploy/");
    std::fs::write(&path, users.replace("PASSWORD", password)).expect("a writable folder");
    path
}

/// Returns the id of the process that answers at `port`: another process may have taken the port between its choice and
/// its use.
fn answers_as(port: u16) -> Option<u32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.map(|line| line.trim_end().to_owned()).find_map(|line| line.strip_prefix("process_id:")?.parse().ok())
}
