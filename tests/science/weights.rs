//! Exported and imported encoders: a trained one is written for other programs, and a sweep starts from the file.

use pretext_tests::processes::program;
use pretext_tests::{Scratch, coordinator, turn};
use serde_json::Value;

const SWEEP: &str = "\
name: first
dataset: {kind: procedural, train_per_class: 20, test_per_class: 4, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation, random-init]
fractions: [100%]
lr: {fixed: {kind: constant, base: 1e-3}}
pretext: {epochs: 1, batch: 16}
downstream: {epochs: 1, batch: 16}
numeric: cpu
";

fn results(folder: &Scratch, report: &str) -> Value {
    let text = std::fs::read_to_string(folder.path(report).join("results.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

fn cell<'a>(results: &'a Value, method: &str) -> &'a Value {
    let cells = results["cells"].as_array().expect("cells");
    cells.iter().find(|cell| cell["method"] == method).expect("a cell of the method")
}

#[test]
fn a_trained_encoder_is_exported_and_a_sweep_starts_from_it() {
    let _turn = turn::training();
    let folder = Scratch::new();
    folder.file("first.yaml", SWEEP);
    let arguments = ["run", "first.yaml", "--smoke", "--device", "cpu", "--out", "first"];
    coordinator(&folder, &arguments).expect(0);
    let first = results(&folder, "first");
    let report = std::fs::read_to_string(folder.path("first/report.md")).expect("a report");
    assert!(report.contains("no weights file was loaded"), "{report}");

    let model = cell(&first, "rotation")["pretext"]["model"].as_str().expect("a pretext stage has a model").to_owned();
    let export = |model: &str| {
        let mut command = std::process::Command::new(program("worker"));
        command.current_dir(folder.path(".")).args(["export", model, "--out", "r.safetensors", "--json"]);
        command.output().expect("the program starts")
    };
    let output = export(&model);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exported: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // Six convolutions, each with the five tensors of its normalisation, including the counter.
    assert_eq!(exported["tensors"], 6 * 6);
    let refused = export("nothing");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no model `nothing`"));

    let sha256 = exported["sha256"].as_str().expect("a hash");
    let start = |hash: &str| {
        let weights = format!(
            "encoder: {{kind: small-cnn, width: 4, blocks: 2, weights: {{path: r.safetensors, sha256: \"{hash}\"}}}}"
        );
        SWEEP
            .replace("encoder: {kind: small-cnn, width: 4, blocks: 2}", &weights)
            .replace("name: first", "name: second")
    };
    folder.file("second.yaml", &start(sha256));
    let arguments = ["run", "second.yaml", "--smoke", "--device", "cpu", "--out", "second"];
    coordinator(&folder, &arguments).expect(0);
    let second = results(&folder, "second");
    let stage = |results: &Value, method: &str| cell(results, method)["downstream"]["stage"].clone();
    for (method, same) in [("supervised", false), ("rotation", false), ("random-init", true)] {
        assert_eq!(stage(&first, method) == stage(&second, method), same, "{method}");
    }
    let losses = |results: &Value| cell(results, "supervised")["downstream"]["validation"]["loss"].clone();
    assert_ne!(losses(&first), losses(&second), "the start shows");
    let report = std::fs::read_to_string(folder.path("second/report.md")).expect("a report");
    assert!(report.contains(&format!("SHA-256 {sha256} (Random init excepted: random)")), "{report}");
    let plan = coordinator(&folder, &["plan", "second.yaml"]).expect(0);
    assert!(plan.stdout.contains("weights: 2 stages start from the file with SHA-256"), "{plan:?}");

    // A file with other content than the sweep names is not used for training.
    folder.file("third.yaml", &start(&"0".repeat(64)));
    let arguments = ["run", "third.yaml", "--smoke", "--device", "cpu", "--out", "third"];
    coordinator(&folder, &arguments).expect(1);
    let third = results(&folder, "third");
    let message = cell(&third, "supervised")["error"]["message"].as_str().expect("a failure").to_owned();
    assert!(message.contains("r.safetensors") && message.contains(sha256), "{message}");
    assert_eq!(cell(&third, "random-init")["state"], "succeeded");
}
