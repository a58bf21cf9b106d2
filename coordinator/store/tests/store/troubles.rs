//! Tests of a server that fails, for a while or permanently.

use std::time::Duration;

use pretext_engine::Change;

use pretext_store::{Level, RedisHome, RedisOptions, SharedStore, Store, StoreError};

use super::records::{batch, progress, submitted};
use super::server::{RedisServer, Sync, leads, options};

fn refusal(options: RedisOptions) -> StoreError {
    match RedisHome::open(options) {
        Ok(_) => panic!("a server that cannot be a home was taken"),
        Err(error) => error,
    }
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_was_acknowledged() {
    let mut server = RedisServer::start(Sync::Always);
    let store = leads(server.options());
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for sequence in 0..300 {
                store.commit(&[Change::AppendPoints(ids[0], batch(1, sequence, 0.5))]).expect("committed");
            }
        });
        for _ in 0..3 {
            server.kill_and_start();
        }
        writer.join().expect("every commit came to its end");
    });
    let sequences: Vec<u64> = store.points(ids[0]).expect("readable").iter().map(|batch| batch.sequence).collect();
    assert_eq!(sequences, (0..300).collect::<Vec<_>>());
    assert_eq!(server.ask::<String>(&["HGET", "{pretext}:meta", "sequence"]), "301");
}

#[test]
fn a_full_server_is_waited_for_and_then_named() {
    let server = RedisServer::start(Sync::Never);
    let mut options = server.options();
    options.patience.budget = Duration::from_millis(300);
    let store = leads(options);
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    let before = store.load().expect("readable");
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.commit(&[progress(ids[0], 1)]).expect_err("full");
    assert!(matches!(error, StoreError::Full { .. }) && error.is_retryable(), "{error}");
    assert!(error.to_string().contains("no memory left (maxmemory is reached)"), "{error}");
    assert!(matches!(store.reopen(), Err(StoreError::Full { .. })), "it is still full");
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.load().expect("readable"), before);
    store.reopen().expect("there is room");
    store.commit(&[progress(ids[0], 1)]).expect("committed");

    let store = leads_again(&server, store);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| store.commit(&[progress(ids[0], 1)]));
        let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        commit.join().expect("no panic").expect("there was room again");
    });
}

/// Returns another coordinator's store, after the first has closed.
fn leads_again(server: &RedisServer, store: impl Store) -> impl Store {
    store.close();
    // The script that takes the lead needs memory too.
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let store = leads(server.options());
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    store
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again() {
    let server = RedisServer::start(Sync::Never);
    let store = leads(server.options());
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    let _: String = server.ask(&["SCRIPT", "FLUSH"]);
    store.commit(&[progress(ids[0], 1)]).expect("committed");
}

#[test]
fn a_replica_is_not_written_to() {
    let primary = RedisServer::start(Sync::Never);
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let mut options = replica.options();
    options.patience.budget = Duration::from_millis(300);
    let home = RedisHome::open(options).expect("it answers");
    let Err(error) = std::sync::Arc::new(home).take_lead() else { panic!("a replica has no leader") };
    assert!(error.to_string().contains("read-only replica"), "{error}");
}

#[test]
fn keys_of_another_program_are_left_alone() {
    let server = RedisServer::start(Sync::Never);
    let store = leads(server.options());
    let _: u32 = server.ask(&["RPUSH", "{pretext}:progress", "mine"]);
    let error = store.commit(&submitted().0).expect_err("another program's key");
    assert!(error.to_string().contains("{pretext}:progress is a list of another program"), "{error}");
    assert_eq!(server.ask::<u32>(&["EXISTS", "{pretext}:sweeps"]), 0);
    assert_eq!(server.ask::<String>(&["HGET", "{pretext}:meta", "sequence"]), "0");
}

#[test]
fn a_server_says_what_it_promises_and_one_that_evicts_is_refused() {
    let always = RedisServer::start(Sync::Always);
    let level = |server: &RedisServer| {
        let home = RedisHome::open(server.options()).expect("a good server");
        assert!(!home.durability().sentences.is_empty());
        home.durability().level
    };
    assert_eq!(level(&always), Level::EveryCommit);
    let _: String = always.ask(&["CONFIG", "SET", "appendfsync", "everysec"]);
    assert_eq!(level(&always), Level::EverySecond);
    assert_eq!(level(&RedisServer::with(&["--appendonly", "no"])), Level::Nothing);

    let _: String = always.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let error = refusal(always.options());
    assert!(error.to_string().contains("maxmemory-policy is allkeys-lru"), "{error}");
}

#[test]
fn the_least_rights_suffice_and_what_cannot_be_read_is_said() {
    let server = RedisServer::start(Sync::Always);
    // The rules of docs/store.md.
    let rules = "on >geheim ~{lab}:* -@all +@hash +eval +evalsha +multi +exec +exists +type +get +set +del +pttl \
                 +pexpire +persist +rename +info +ping +wait +role +select";
    let words: Vec<&str> = ["ACL", "SETUSER", "lab"].into_iter().chain(rules.split_whitespace()).collect();
    let _: String = server.ask(&words);
    let address = |password| format!("redis://lab:{password}@127.0.0.1:{}?namespace=lab", server.port);
    let home = std::sync::Arc::new(RedisHome::open(options(&address("geheim"))).expect("a good user"));
    assert_eq!(home.durability().level, Level::Unknown);
    let words = home.durability().sentences.join("\n");
    assert!(words.contains("configuration cannot be read"), "{words}");
    drop(home);
    let store = leads(options(&address("geheim")));
    store.commit(&submitted().0).expect("committed");
    store.commit(&super::records::large(3000).0).expect("committed in pieces");
    store.load().expect("readable");
    store.points(submitted().1[0]).expect("readable");
    store.close();

    for (address, words) in [
        (address("falsch"), "refuses the user or the password"),
        (address("geheim").replace("namespace=lab", "namespace=other"), "may not do what a store needs"),
    ] {
        let error = match RedisHome::open(options(&address)) {
            Ok(home) => std::sync::Arc::new(home).take_lead().err().expect("not its keys"),
            Err(error) => error,
        };
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("geheim") && !text.contains("falsch"), "{text}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn nobody_there_is_said_after_the_budget() {
    let mut options = options(&format!("redis://127.0.0.1:{}", super::server::free_port()));
    options.patience.budget = Duration::from_millis(100);
    let error = refusal(options);
    assert!(matches!(error, StoreError::OutOfPatience { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_cluster_is_followed_to_the_node_that_has_the_keys() {
    let node = || {
        let bus = super::server::free_port().to_string();
        (RedisServer::with(&["--cluster-enabled", "yes", "--cluster-port", &bus]), bus)
    };
    let ((asked, bus), (owner, _)) = (node(), node());
    let _: String = owner.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let _: String = owner.ask(&["CLUSTER", "MEET", "127.0.0.1", &asked.port.to_string(), &bus]);
    super::server::until("both know who has the keys", || {
        let info: String = asked.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok").then_some(())
    });
    let store = leads(asked.options());
    store.commit(&submitted().0).expect("committed");
    store.commit(&super::records::large(3000).0).expect("committed in pieces");
    assert_eq!(store.load().expect("readable").stages.len(), 3002);
    assert_eq!(owner.ask::<String>(&["HGET", "{pretext}:meta", "sequence"]), "2");
}
