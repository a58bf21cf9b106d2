//! A report is enough to run its sweep again, and to compare the numbers.

use pretext_tests::{Scratch, coordinator, turn};
use serde_json::Value;

/// Two methods, two seeds, in seconds.
const SWEEP: &str = "
name: again
dataset: {kind: procedural, train_per_class: 40, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised, rotation]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0, 1]
split_seeds: [7]
pretext: {data: fraction, epochs: 2, batch: 16}
downstream: {epochs: 3, batch: 16}
numeric: cpu
";

#[test]
fn a_report_is_reproduced_to_the_bit_and_a_forged_one_is_not() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let file = folder.file("sweep.yaml", SWEEP);
    coordinator(&folder, &["run", file.to_str().expect("text"), "--device", "cpu", "--out", "first"]).expect(0);
    let path = folder.path("first/results.json");
    let text = std::fs::read_to_string(&path).expect("a report");
    let results: Value = serde_json::from_str(&text).expect("JSON");
    let provenance = &results["provenance"];
    assert_eq!(provenance["spec"], SWEEP);
    let devices = provenance["devices"].as_array().expect("devices");
    assert!(devices.len() == 1 && devices[0].as_str().is_some_and(|device| device.starts_with("cpu (")), "{devices:?}");
    let crates = provenance["build"]["crates"].as_array().expect("crates");
    assert!(crates.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with("burn 0."))));
    assert!(results["cells"].as_array().expect("cells").iter().all(|cell| cell["split_seed"] == 7));

    let again = coordinator(&folder, &["reproduce", "first/results.json", "--json"]).expect(0).json();
    assert_eq!(again["standard"], "exact", "{again:#}");
    assert_eq!((&again["agree"], &again["compared"], &again["equal"]), (&true.into(), &4.into(), &4.into()));
    assert!(folder.path("pretext-reproduce").is_dir(), "it ran in a state of its own");

    // The same command finds its own state and answers without training.
    let text_again = coordinator(&folder, &["reproduce", "first/results.json"]).expect(0).stdout;
    assert!(text_again.contains("the numbers agree: 4 cells equal in every bit"), "{text_again}");

    let mut forged = results.clone();
    forged["cells"][1]["test"]["accuracy"] = Value::from(0.999);
    folder.file("forged.json", &forged.to_string());
    let out = coordinator(&folder, &["reproduce", "forged.json", "--state-dir", "other", "--json"]).expect(1).json();
    assert_eq!((&out["agree"], &out["equal"]), (&false.into(), &3.into()), "{out:#}");
    assert_eq!(out["differences"][0]["fields"], serde_json::json!(["test"]));

    // A state that another run filled proves nothing; neither do other data.
    let used = coordinator(&folder, &["reproduce", "first/results.json", "--state-dir", "other"]).expect(2);
    assert!(used.stderr.contains("a reproduction starts in an empty folder"), "{used:?}");
    forged["provenance"]["dataset"]["fingerprint"] = Value::from("0".repeat(64));
    folder.file("elsewhere.json", &forged.to_string());
    let elsewhere = coordinator(&folder, &["reproduce", "elsewhere.json", "--state-dir", "third"]).expect(2);
    assert!(elsewhere.stderr.contains("it is not the same data"), "{elsewhere:?}");
    let none = coordinator(&folder, &["reproduce", "sweep.yaml", "--state-dir", "fourth"]).expect(2);
    assert!(none.stderr.contains("it is not a results.json of a report"), "{none:?}");
}
