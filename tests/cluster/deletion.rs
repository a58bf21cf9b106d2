//! `coordinator delete`: what is refused, what goes, and what stays.

use pretext_tests::stub::Stub;
use pretext_tests::{Scratch, Server};

use super::outage::{FOR_EVER, SWEEP};

#[tokio::test]
async fn a_sweep_is_deleted_when_it_no_longer_runs() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let mut stub = Stub::register(&server.url, "stub", 1).await;
    let sweep = server.submit(&folder, SWEEP);
    let grant = stub.lease("0193f2a0-0000-7000-8000-000000000001").await.expect("work");
    let careless = server.ask(&folder, &["delete", &sweep]).expect(2);
    assert!(careless.stderr.contains("--yes"), "{}", careless.stderr);
    let running = server.ask(&folder, &["delete", &sweep, "--yes"]).expect(2);
    assert!(running.stderr.contains(&format!("coordinator cancel {sweep}")), "{}", running.stderr);
    server.ask(&folder, &["cancel", &sweep]).expect(0);
    let deleted = server.ask(&folder, &["delete", &sweep, "--yes", "--json"]).expect(0).json();
    assert_eq!((&deleted["sweep"], deleted["cells"].as_u64()), (&sweep.as_str().into(), Some(1)), "{deleted}");
    server.ask(&folder, &["verify", &sweep]).expect(2);
    assert_eq!(server.ask(&folder, &["status", "--json"]).expect(0).json()["sweeps"], serde_json::json!([]));

    // The same file is the same sweep, and its stages have the same ids. The former holder has none of them.
    assert_eq!(server.submit(&folder, SWEEP), sweep);
    stub.register_checkpoint(&grant, b"old", 1).await.expect_err("it is superseded");
    let again = stub.lease("0193f2a0-0000-7000-8000-000000000002").await.expect("work");
    let (old, new) = (grant.attempt.expect("an attempt"), again.attempt.clone().expect("an attempt"));
    assert!(old.stage == new.stage && old.fence < new.fence, "{old:?} {new:?}");
    stub.complete(again).await;
    assert_eq!(server.verify(&folder, &sweep), [""; 0]);
}
