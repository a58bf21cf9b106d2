//! One sick machine beside a good one: the sweep succeeds whole, and the sick machine is named.

use pretext_tests::{Daemon, Scratch, Server, pictures, turn, until};
use serde_json::Value;

const SWEEP: &str = "
name: sick
dataset: {kind: image-folder, path: cells, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0, 1, 2, 3]
downstream: {epochs: 4, batch: 8}
numeric: cpu
";

/// Returns the states of the devices of `worker`, with their reasons.
fn devices(folder: &Scratch, server: &Server, worker: &str) -> Vec<(String, String)> {
    let workers = server.ask(folder, &["workers", "--json"]).expect(0).json();
    let workers = workers["workers"].as_array().cloned().unwrap_or_default();
    let devices = workers.iter().filter(|known| known["name"] == worker).flat_map(|known| known["devices"].as_array());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    devices.flatten().map(|device| (text(&device["state"]), text(&device["reason"]))).collect()
}

#[test]
fn a_worker_that_loses_its_data_fails_no_stage_of_a_sweep() {
    let _turn = turn::training();
    let folder = Scratch::new();
    for root in ["good", "bad"] {
        for (part, count) in [("train", 12), ("test", 4)] {
            pictures::image_folder(&folder.path(root).join("cells"), part, &["a", "b"], count);
        }
    }
    let server = Server::start(&folder, &[]);
    let root = |name: &str| folder.path(name).to_str().expect("a text path").to_owned();
    let _well = Daemon::start(&folder, &server.url, "well", &["--slots", "1", "--data-root", &root("good")]);
    let _sick = Daemon::start(&folder, &server.url, "sick", &["--slots", "2", "--data-root", &root("bad")]);
    server.registered(&folder, 2);
    std::fs::remove_dir_all(folder.path("bad/cells")).expect("the folder was there");
    let sweep = server.submit(&folder, SWEEP);
    server.ask(&folder, &["watch", &sweep]).expect(0);
    let out = folder.path("report");
    server.ask(&folder, &["report", &sweep, "--out", out.to_str().expect("a text path")]).expect(0);
    let results = std::fs::read_to_string(out.join("results.json")).expect("a report");
    let results: Value = serde_json::from_str(&results).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 8);
    assert!(cells.iter().all(|cell| cell["state"] == "succeeded"), "{results:#}");

    let drained = until("the sick machine is drained", || {
        devices(&folder, &server, "sick").into_iter().find(|(state, _)| state == "drained")
    });
    assert!(drained.1.contains("there is no data folder") && drained.1.contains("data-copy"), "{drained:?}");
    assert!(devices(&folder, &server, "well").iter().all(|(state, _)| state == "good"));
    let shown = server.ask(&folder, &["workers"]).expect(0).stdout;
    assert!(shown.contains("cpu of sick is drained"), "{shown}");
}
