//! A real `redis-server` on loopback that ends with its owner.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::processes::{Guarded, Scratch, until};

/// A server that syncs every command to its disk before it answers (`appendfsync always`), on a port that nobody else
/// has.
pub struct Redis {
    process: Guarded,
    port: u16,
    folder: PathBuf,
}

impl Redis {
    /// Starts one with its files in `folder/redis`.
    pub fn start(folder: &Scratch) -> Self {
        let folder = folder.path("redis");
        std::fs::create_dir(&folder).expect("a writable folder");
        // Someone else may take the port between its choice and its use.
        let (process, port) = until("a Redis server has a port of its own", || {
            let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            Some((run(&folder, port)?, port))
        });
        Self { process, port, folder }
    }

    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        let mut command = Command::new("redis-server");
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// The address of a store on it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL, and the same again on the same files and port.
    pub fn kill_and_start(&mut self) {
        self.process.kill();
        let (folder, port) = (&self.folder, self.port);
        self.process = until("the Redis server is back", || run(folder, port));
    }
}

/// A server that answers; nothing if it has ended, because somebody else has the port.
fn run(folder: &Path, port: u16) -> Option<Guarded> {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (tests/setup.sh test)");
    let mut process = Guarded(child);
    let up = until("it answers or has ended", || match process.0.try_wait() {
        Ok(None) => (answers_as(port) == Some(process.0.id())).then_some(true),
        _ => Some(false),
    });
    up.then_some(process)
}

/// The process that answers at `port`.
fn answers_as(port: u16) -> Option<u32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.map(|line| line.trim_end().to_owned()).find_map(|line| line.strip_prefix("process_id:")?.parse().ok())
}
