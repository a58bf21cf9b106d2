//! Runs the suite on each store.

use std::path::PathBuf;

use pretext_store::{RedbStore, RedisStore};

use super::server::{RedisServer, Sync, leads};
use super::suite::{self, Home};

struct Embedded(tempfile::TempDir);

impl Embedded {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state.redb")
    }
}

impl Home for Embedded {
    type Store = RedbStore;

    fn open(&self) -> RedbStore {
        RedbStore::open(&self.path()).expect("opens")
    }
}

impl Home for RedisServer {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        leads(self.options())
    }
}

macro_rules! every_home {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $promise() { super::suite::$promise(&super::Embedded::new()); })*
        }
        mod redis {
            $(#[test] fn $promise() { super::suite::$promise(&super::RedisServer::start(super::Sync::Never)); })*
        }
    };
}

every_home!(
    what_was_committed_is_there,
    pushed_data_are_kept_until_they_are_removed,
    readers_see_whole_commits,
    concurrent_writers_lose_nothing,
    stale_fences_are_refused,
    large_sweeps_are_one_commit,
    deleted_sweeps_leave_nothing,
    large_deletions_are_one_commit,
    a_stage_that_comes_again_keeps_what_came_after_its_deletion,
);
