//! The programs under measurement: a coordinator, and a Redis server if the job state is there.

mod guarded;
mod http;
mod redis;
mod server;
mod usage;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::error::BenchError;

pub(crate) use self::http::{get, sign_in};
pub(crate) use self::redis::{AppendFsync, is_installed};
pub(crate) use self::server::Server;
pub(crate) use self::usage::{Cpu, Usage, own_cpu};

/// The home of the job state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file of the coordinator.
    Embedded,
    /// A Redis server that the bench starts.
    Redis,
}

impl Store {
    /// Returns the name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "Redis",
        }
    }
}

/// The programs and folders to start systems with.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The coordinator program.
    pub(crate) coordinator: PathBuf,
    /// The folder that temporary folders are made in.
    pub(crate) folder: PathBuf,
    /// When the Redis server writes to its disk.
    pub(crate) sync: AppendFsync,
}

impl Programs {
    /// Returns a new temporary folder.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, BenchError> {
        tempfile::Builder::new()
            .prefix("pretext-bench-")
            .tempdir_in(&self.folder)
            .map_err(BenchError::file(&self.folder))
    }
}

/// A running coordinator with an empty store of its own. Its processes end, and its folder is removed, when this is
/// dropped.
pub(crate) struct System {
    /// The coordinator.
    pub(crate) server: Server,
    // Dropped in this order: the coordinator ends before its store.
    redis: Option<redis::Redis>,
    folder: tempfile::TempDir,
}

impl System {
    /// Starts a system.
    pub(crate) async fn start(programs: &Programs, store: Store) -> Result<Self, BenchError> {
        let folder = programs.scratch()?;
        let redis = match store {
            Store::Embedded => None,
            Store::Redis => Some(redis::Redis::start(folder.path(), programs.sync).await?),
        };
        let url = redis.as_ref().map(redis::Redis::url);
        let server = Server::start(&programs.coordinator, folder.path(), url.as_deref()).await?;
        Ok(Self { server, redis, folder })
    }

    /// Starts the coordinator again after it has ended, on the same store.
    pub(crate) async fn start_again(&mut self, programs: &Programs) -> Result<(), BenchError> {
        let url = self.redis.as_ref().map(redis::Redis::url);
        self.server = Server::start(&programs.coordinator, self.folder.path(), url.as_deref()).await?;
        Ok(())
    }

    /// Returns the use of the coordinator's process so far.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        Usage::of(self.server.id())
    }
}

/// Returns whether a folder is in memory, where a sync costs nothing.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|facts| u64::try_from(facts.f_type) == Ok(TMPFS))
}
