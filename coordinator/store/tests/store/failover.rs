//! Tests a fail-over: the primary dies, sentinels promote its replica, and the store continues there.

use pretext_engine::Change;

use pretext_store::Store;

use super::records::{batch, submitted};
use super::server::{Process, RedisServer, Sync, connection, free_port, leads, options, until};

struct Sentinel {
    _process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

/// Starts a sentinel for the service `lab`.
fn sentinel(primary: &RedisServer) -> Sentinel {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let path = folder.path().join("sentinel.conf");
    let lines = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor lab 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds lab 500\nsentinel failover-timeout lab 3000\n",
        folder.path().display(),
        primary.port
    );
    std::fs::write(&path, lines).expect("a writable folder");
    let process = Process::start(std::process::Command::new("redis-sentinel").arg(&path));
    Sentinel { _process: process, port, _folder: folder }
}

#[test]
fn what_replicas_have_survives_a_fail_over() {
    let mut primary = RedisServer::start(Sync::Never);
    let replica =
        RedisServer::with(&["--replicaof", "127.0.0.1", &primary.port.to_string(), "--repl-diskless-sync-delay", "0"]);
    let sentinel = sentinel(&primary);
    until("the sentinel knows the replica", || {
        let mut command = redis::cmd("SENTINEL");
        let replicas: Vec<std::collections::HashMap<String, String>> =
            command.arg("replicas").arg("lab").query(&mut connection(sentinel.port)?).ok()?;
        let up = replicas.first()?.get("master-link-status").is_some_and(|status| status == "ok");
        up.then_some(())
    });

    let mut options = options(&format!("redis+sentinel://127.0.0.1:{}/lab", sentinel.port));
    options.replicas = 1;
    let store = leads(options);
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    for sequence in 0..10 {
        store.commit(&[Change::AppendPoints(ids[0], batch(1, sequence, 0.5))]).expect("committed");
    }
    let acknowledged = store.load().expect("readable");

    primary.process.kill();
    until("the replica is the primary", || {
        // The sentinel disconnects the replica's clients when it changes its role.
        let role: String = redis::cmd("INFO").arg("replication").query(&mut connection(replica.port)?).ok()?;
        role.contains("role:master").then_some(())
    });
    assert_eq!(store.load().expect("readable"), acknowledged);
    // A commit must be on a replica: it waits until the new primary has one.
    let follower = RedisServer::start(Sync::Never);
    let _: String = follower.ask(&["REPLICAOF", "127.0.0.1", &replica.port.to_string()]);
    store.commit(&[Change::AppendPoints(ids[0], batch(1, 10, 0.5))]).expect("committed on the new primary");
    assert_eq!(store.points(ids[0]).expect("readable").len(), 11);
    until("the follower has it", || {
        let text: Option<String> = follower.ask(&["HGET", "{pretext}:meta", "sequence"]);
        (text.as_deref() == Some("12")).then_some(())
    });
}
