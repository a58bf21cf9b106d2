//! A private `redis-server` process.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;

use super::guarded::Guarded;
use crate::error::{BenchError, within};

/// Longest time until a server answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most ports that are tried: another process may take a port between its choice and its use.
const TRIES: usize = 5;

/// When the server writes its log to the disk: its setting `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AppendFsync {
    /// Before it answers, as in deploy/: nothing acknowledged is lost after power loss.
    Always,
    /// Each second: power loss may cost the last one.
    Everysec,
}

impl AppendFsync {
    /// Returns the value of the setting.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
        }
    }
}

/// See the module.
pub(super) struct Redis {
    _process: Guarded,
    port: u16,
}

/// Returns whether the program is installed.
pub(crate) fn is_installed() -> bool {
    let mut command = Command::new("redis-server");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Redis {
    /// Starts an empty server with its files in `folder/redis`.
    pub(super) async fn start(folder: &Path, sync: AppendFsync) -> Result<Self, BenchError> {
        let folder = folder.join("redis");
        std::fs::create_dir_all(&folder).map_err(BenchError::file(&folder))?;
        let mut last = BenchError::Answer("no port was free".to_owned());
        for _ in 0..TRIES {
            match Self::try_start(&folder, sync).await {
                Ok(redis) => return Ok(redis),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn try_start(folder: &Path, sync: AppendFsync) -> Result<Self, BenchError> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|source| BenchError::Socket { address: "127.0.0.1:0".to_owned(), source })?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", sync.setting(), "--maxmemory-policy", "noeviction", "--dir"]).arg(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process = Guarded(child.map_err(BenchError::file(Path::new("redis-server")))?);
        let up = async {
            while answers_as(port) != Some(process.0.id()) {
                if let Some(status) = process.ended() {
                    let problem = format!("ended at port {port}: {status}");
                    return Err(BenchError::Program {
                        program: "redis-server".to_owned(),
                        problem,
                        log: String::new(),
                    });
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        within("the start of Redis", PATIENCE, up).await?;
        Ok(Self { _process: process, port })
    }

    /// Returns its URL for `--store`.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// Returns the id of the process that answers at `port`.
fn answers_as(port: u16) -> Option<u32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.map(|line| line.trim_end().to_owned()).find_map(|line| line.strip_prefix("process_id:")?.parse().ok())
}
