//! Tests replies that are lost after the server has done its work, at every possible place.

use std::time::Duration;

use pretext_engine::{Change, Snapshot};

use pretext_store::{RedisOptions, RedisStore, Store, StoreError};

use super::proxy::{Cut, Proxy};
use super::records::{batch, large, progress, submitted};
use super::server::{RedisServer, Sync, leads, options};

/// Returns a small commit, and one that is sent in pieces.
fn commits() -> [Vec<Change>; 2] {
    let (mut small, ids) = submitted();
    small.push(progress(ids[0], 3));
    small.push(Change::AppendPoints(ids[0], batch(3, 0, 0.5)));
    [small, large(3000).0]
}

struct Course {
    server: RedisServer,
    proxy: Proxy,
    run: u64,
}

impl Course {
    fn new(cut: Cut) -> Self {
        let server = RedisServer::start(Sync::Never);
        let proxy = Proxy::start(server.port, u64::MAX, cut);
        Self { server, proxy, run: 0 }
    }

    fn options(&self, port: u16) -> RedisOptions {
        let mut options = options(&format!("redis://127.0.0.1:{port}?namespace=run-{}", self.run));
        // The caller waits for the end of the commit before it looks at the outcome.
        options.lease = Duration::from_millis(300);
        options
    }

    /// Returns the leader of a new store behind the proxy.
    fn next(&mut self, budget: Duration) -> RedisStore {
        self.run += 1;
        self.proxy.allow(u64::MAX);
        let mut options = self.options(self.proxy.port);
        options.patience.budget = budget;
        leads(options)
    }

    /// Returns the state after a commit without failures, and the number of replies that it waits for.
    fn measure(&mut self, changes: &[Change]) -> (Snapshot, u64) {
        let mut run = || {
            let store = self.next(Duration::from_secs(30));
            self.proxy.allow(u64::MAX);
            store.commit(changes).expect("committed");
            let replies = self.proxy.seen();
            (store.load().expect("readable"), replies)
        };
        // At first the server does not know the scripts.
        run();
        run()
    }

    /// Returns the state, read without the proxy.
    fn outcome(&self) -> Snapshot {
        leads(self.options(self.server.port)).load().expect("readable")
    }

    fn sequence(&self) -> String {
        self.server.ask(&["HGET", &format!("{{run-{}}}:meta", self.run), "sequence"])
    }
}

#[test]
fn a_commit_whose_reply_was_lost_is_there_once() {
    let mut course = Course::new(Cut::Once);
    for changes in commits() {
        let (whole, replies) = course.measure(&changes);
        assert!(replies > 0);
        for lost in 0..replies {
            let store = course.next(Duration::from_secs(30));
            course.proxy.allow(lost);
            store.commit(&changes).unwrap_or_else(|error| panic!("reply {lost} lost: {error}"));
            assert_eq!(course.sequence(), "1", "reply {lost} of {replies} lost");
            assert!(store.load().expect("readable") == whole, "reply {lost} of {replies} lost");
            store.commit(&[progress(*whole.stages.keys().next().expect("stages"), 9)]).expect("goes on");
            assert_eq!(course.sequence(), "2");
        }
    }
}

/// Stops or cuts off a coordinator at every place of a commit: the next leader finds all of the commit or nothing.
#[test]
fn a_commit_that_was_cut_off_is_there_whole_or_not_at_all() {
    let mut course = Course::new(Cut::ForGood);
    for changes in commits() {
        let (whole, replies) = course.measure(&changes);
        let mut outcomes = (0, 0);
        for passed in 0..replies {
            let store = course.next(Duration::from_millis(100));
            course.proxy.allow(passed);
            let error = store.commit(&changes).expect_err("cut off");
            assert!(matches!(error, StoreError::OutOfPatience { .. }), "{error}");
            let found = course.outcome();
            if found == whole {
                outcomes.0 += 1;
            } else {
                assert!(found == Snapshot::default(), "{passed} of {replies} replies passed: a part is there");
                outcomes.1 += 1;
            }
        }
        assert!(outcomes.0 > 0, "the cut after the last write was not met: {outcomes:?}");
    }
}
