//! `redis-server` processes that end with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pretext_store::{Lead, Patience, RedisHome, RedisOptions, RedisStore};

/// Longest time that a test waits for a condition. After that the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` returns a value.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// When the append-only file is synced.
#[derive(Clone, Copy)]
pub(crate) enum Sync {
    Always,
    Never,
}

/// A process that is killed at the end of the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("redis-server and redis-sentinel are installed (tests/setup.sh test)"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child of ours").is_some()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server on a free port, with its files in a folder that is removed with it.
pub(crate) struct RedisServer {
    pub(crate) process: Process,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

/// Returns a port that is free at this moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

impl RedisServer {
    pub(crate) fn start(sync: Sync) -> Self {
        let sync = match sync {
            Sync::Always => "always",
            Sync::Never => "no",
        };
        Self::with(&["--appendonly", "yes", "--appendfsync", sync])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Another program may take the port between its choice and its use.
        let (process, port) = until("a server has a port of its own", || {
            let port = free_port();
            Some((run(folder.path(), port, &arguments)?, port))
        });
        Self { process, port, folder, arguments }
    }

    /// Kills the server (SIGKILL) and starts it again with the same files and port.
    pub(crate) fn kill_and_start(&mut self) {
        self.process.kill();
        let port = self.port;
        self.process = until("the server is back", || run(self.folder.path(), port, &self.arguments));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn options(&self) -> RedisOptions {
        options(&self.url())
    }

    pub(crate) fn connection(&self) -> redis::Connection {
        connection(self.port).expect("it answers")
    }

    /// Runs one command on a separate connection.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection()).expect("an answer")
    }
}

fn run(folder: &Path, port: u16, arguments: &[String]) -> Option<Process> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder);
    let mut process = Process::start(command.args(arguments));
    until("the server answers or has ended", || {
        if process.has_ended() {
            return Some(false);
        }
        let info: String = redis::cmd("INFO").arg("server").query(&mut connection(port)?).ok()?;
        Some(info.contains(&format!("process_id:{}\r", process.id())))
    })
    .then_some(process)
}

pub(crate) fn connection(port: u16) -> Option<redis::Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    Some(connection)
}

/// Returns options with time limits for a test. The lease is long enough for every test that does not wait for its end.
pub(crate) fn options(url: &str) -> RedisOptions {
    let mut options = RedisOptions::new(url.parse().expect("a good address"));
    options.lease = Duration::from_secs(60);
    options.patience = Patience {
        connect: Duration::from_secs(2),
        response: Duration::from_secs(20),
        budget: Duration::from_secs(40),
    };
    options
}

/// Takes the lead once it is free.
pub(crate) fn leads(options: RedisOptions) -> RedisStore {
    let home = Arc::new(RedisHome::open(options).expect("a good server"));
    until("the lead is free", || match home.clone().take_lead().expect("a good server") {
        Lead::Leads(store) => Some(store),
        Lead::Held { .. } => None,
    })
}
