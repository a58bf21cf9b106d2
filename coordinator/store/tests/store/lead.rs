//! Tests that only one leader writes at a time, and only to the store that it took.

use std::sync::Arc;
use std::time::Duration;

use pretext_store::{Lead, RedisHome, Store, StoreError};

use super::records::{progress, submitted};
use super::server::{RedisServer, Sync, leads, until};

const SHORT: Duration = Duration::from_millis(400);

#[test]
fn a_leader_that_was_silent_cannot_write_after_another_took_over() {
    let server = RedisServer::start(Sync::Never);
    let mut options = server.options();
    (options.lease, options.name) = (SHORT, "the first".to_owned());
    let paused = leads(options.clone());
    let (changes, ids) = submitted();
    paused.commit(&changes).expect("committed");

    options.name = "the second".to_owned();
    let next = leads(options);
    assert!(next.term() > paused.term());
    let before = next.load().expect("readable");
    for changes in [vec![progress(ids[0], 1)], vec![]] {
        let error = paused.commit(&changes).expect_err("superseded");
        assert!(matches!(error, StoreError::Superseded { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("the second") && words.contains("writes no more"), "{words}");
    }
    // Not even a commit in pieces leaves anything.
    assert!(paused.commit(&super::records::large(3000).0).is_err());
    assert_eq!(server.ask::<u32>(&["EXISTS", "{pretext}:staged"]), 0);
    // Its close does not take the lead from the present leader.
    paused.close();
    assert_eq!(next.load().expect("readable"), before);
    next.commit(&[progress(ids[0], 1)]).expect("leads");
}

#[test]
fn a_lead_that_lapsed_but_was_not_taken_goes_on() {
    let server = RedisServer::start(Sync::Never);
    let mut options = server.options();
    options.lease = Duration::from_millis(100);
    let store = leads(options);
    until("the lease has ended", || (server.ask::<u32>(&["EXISTS", "{pretext}:leader"]) == 0).then_some(()));
    store.commit(&submitted().0).expect("nobody took over");
    assert_eq!(server.ask::<u32>(&["EXISTS", "{pretext}:leader"]), 1);
}

#[test]
fn a_second_coordinator_stands_by_until_the_lead_is_given_up() {
    let server = RedisServer::start(Sync::Never);
    let mut options = server.options();
    options.name = "the first".to_owned();
    let first = leads(options.clone());
    options.name = "the second".to_owned();
    let second = Arc::new(RedisHome::open(options).expect("a good server"));
    match second.clone().take_lead().expect("a good server") {
        Lead::Held { by, left } => {
            assert_eq!(by, "the first");
            assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(60), "{left:?}");
        }
        Lead::Leads(_) => panic!("two lead"),
    }
    first.close();
    let Lead::Leads(store) = second.take_lead().expect("a good server") else { panic!("the lead was given up") };
    assert_eq!(store.term(), first.term() + 1);
}

/// The keys of a server at one moment.
struct Backup(Vec<(Vec<u8>, Vec<u8>)>);

impl Backup {
    fn of(server: &RedisServer) -> Self {
        let mut connection = server.connection();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
        let dump = |key: Vec<u8>| {
            let value = redis::cmd("DUMP").arg(&key).query(&mut connection).expect("a key that is there");
            (key, value)
        };
        Self(keys.into_iter().map(dump).collect())
    }

    fn restore(&self, server: &RedisServer) {
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("FLUSHALL").ignore();
        for (key, value) in &self.0 {
            pipe.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
        }
        pipe.exec(&mut server.connection()).expect("restored");
    }
}

#[test]
fn a_store_that_went_back_is_noticed_and_left_alone() {
    let server = RedisServer::start(Sync::Never);
    let (changes, ids) = submitted();
    let mut options = server.options();
    options.lease = SHORT;
    let store = leads(options.clone());
    let empty = Backup::of(&server);
    store.commit(&changes).expect("committed");
    let older = Backup::of(&server);
    store.commit(&[progress(ids[0], 1)]).expect("committed");

    for (backup, commit) in [(&older, 1), (&empty, 0)] {
        backup.restore(&server);
        let before = store.load().expect("readable");
        let error = store.commit(&[progress(ids[0], 2)]).expect_err("gone back");
        assert!(matches!(error, StoreError::RolledBack { known: 2, found, .. } if found == commit), "{error}");
        assert!(error.to_string().contains("gone back to an older state"), "{error}");
        // It is noticed even if nothing is written.
        let quiet = until("a sign of life was due", || store.commit(&[]).err());
        assert!(matches!(quiet, StoreError::RolledBack { .. }), "{quiet}");
        assert_eq!(store.load().expect("readable"), before);
    }
    // An emptied store.
    let _: String = server.ask(&["FLUSHALL"]);
    let error = store.commit(&[progress(ids[0], 2)]).expect_err("emptied");
    assert!(matches!(error, StoreError::RolledBack { known: 2, found: 0, .. }), "{error}");
    // A store created again by another coordinator: it is not the first one's store.
    let _other = leads(options);
    let error = store.commit(&[progress(ids[0], 2)]).expect_err("another store");
    assert!(matches!(error, StoreError::RolledBack { .. }), "{error}");
}

/// Restores the state from before the leader took the lead: another coordinator may have the same term there.
#[test]
fn the_same_term_on_an_older_state_is_not_the_same_leader() {
    let server = RedisServer::start(Sync::Never);
    let first = leads(server.options());
    first.commit(&submitted().0).expect("committed");
    first.close();
    let older = Backup::of(&server);
    let second = leads(server.options());
    older.restore(&server);
    let third = leads(server.options());
    assert_eq!(second.term(), third.term());
    let ids = submitted().1;
    let error = second.commit(&[progress(ids[0], 1)]).expect_err("not the leader");
    assert!(matches!(error, StoreError::RolledBack { .. }), "{error}");
    third.commit(&[progress(ids[0], 1)]).expect("leads");
}
