//! The ladder of docs/evidence/science.md: the whole second rung, and the sweeps of the third.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use pretext_tests::{Scratch, coordinator, pictures, turn};
use serde_json::Value;

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the content of `folder/report/results.json`.
fn results(folder: &Scratch) -> Value {
    let text = std::fs::read_to_string(folder.path("report/results.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the mean at `pointer` over the cells of `method`, and their number.
fn mean(results: &Value, method: &str, pointer: &str) -> (f64, usize) {
    let cells = results["cells"].as_array().expect("a report has cells").iter();
    let values = cells.filter(|cell| cell["method"] == method).filter_map(|cell| cell.pointer(pointer)?.as_f64());
    let values: Vec<f64> = values.collect();
    (values.iter().sum::<f64>() / values.len() as f64, values.len())
}

/// Three seeds on procedural pictures. The bands were recorded from a run and frozen; docs/evidence/science.md has the numbers.
/// Every pretext stage is in two cells of a seed, one at each fraction.
#[test]
fn the_second_rung_is_within_its_bands() {
    let _turn = turn::training();
    let folder = Scratch::new();
    folder.file("controls.yaml", &example("controls.yaml"));
    coordinator(&folder, &["run", "controls.yaml", "--device", "cpu", "--out", "report"]).expect(0);
    let results = results(&folder);
    let within = |method: &str, pointer: &str, band: RangeInclusive<f64>| {
        let (mean, n) = mean(&results, method, pointer);
        println!("{method} {pointer} {mean:.4}");
        assert!(n == 2 * 3 && band.contains(&mean), "{method} {pointer}: {mean} of {n} cells is not in {band:?}");
    };
    let pretext = "/pretext/validation/accuracy";
    within("rotation", pretext, 0.50..=0.75);
    within("simclr", pretext, 0.08..=0.30);
    // 180 images validate: three standard deviations of the mean of three seeds.
    within("rotation-noise", pretext, 0.194..=0.306);
    within("rotation-pre-rotated", pretext, 0.194..=0.306);
    let summary = results["summary"].as_array().expect("a list");
    let floors = summary.iter().filter(|one| one["gain_over_random_init"]["n"] == 3).count();
    assert_eq!(floors, 5 * 2, "every other method is set against the floor at both fractions");
}

/// Real digits, five seeds, 50 labels: heads on learned features against a head on initial weights. The bands were
/// recorded in the same way.
#[test]
fn features_of_digits_are_five_points_above_the_floor() {
    let _turn = turn::training();
    let folder = Scratch::new();
    folder.file("digits.yaml", &example("ladder-digits.yaml"));
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let assets = assets.to_str().expect("a text path");
    let arguments = ["run", "digits.yaml", "--device", "cpu", "--data-root", assets, "--out", "report"];
    coordinator(&folder, &arguments).expect(0);
    let results = results(&folder);
    let summary = results["summary"].as_array().expect("a list").iter();
    let at_five_percent = |method: &str| {
        let mut of_method = summary.clone().filter(|one| one["method"] == method && one["fraction"] == 0.05);
        let one = of_method.next().expect("the sweep has it");
        assert_eq!(one["n"], 5, "{one}");
        (one["accuracy"]["mean"].as_f64(), one["gain_over_random_init"]["mean"].as_f64())
    };
    for (method, band) in [("rotation", 0.85..=0.95), ("simclr", 0.45..=0.75)] {
        let (pretext, n) = mean(&results, method, "/pretext/validation/accuracy");
        let (accuracy, gain) = at_five_percent(method);
        println!("{method}: pretext {pretext:.4}, probe {accuracy:?}, above the floor {gain:?}");
        assert!(n == 2 * 5 && band.contains(&pretext), "{method}: {pretext} of {n} cells is not in {band:?}");
        assert!(gain.is_some_and(|gain| gain >= 0.05), "{method}: {gain:?} above the floor");
    }
}

#[test]
fn the_third_rungs_sweeps_share_their_pretext_stages_and_run() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let classes = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    pictures::image_folder(&folder.path("data/cifar10"), "train", &classes, 80);
    let mut pretext = Vec::new();
    for (name, cells) in [("ladder-cifar10-tune.yaml", 4 * 2 * 3), ("ladder-cifar10-probe.yaml", 7 * 2 * 3)] {
        folder.file(name, &example(name));
        let plan = coordinator(&folder, &["plan", name, "--data-root", "data", "--json"]).expect(0).json();
        assert_eq!(plan["cells"].as_array().map(Vec::len), Some(cells), "{name}");
        let stages = plan["stages"].as_array().expect("stages").iter();
        let of_pretext = stages.filter(|stage| stage["stage"]["spec"]["stage"] == "pretext");
        pretext.push(of_pretext.map(|stage| stage["id"].to_string()).collect::<BTreeSet<_>>());
        folder.file("small.yaml", &example(name).replace("seeds: [0, 1, 2]", "seeds: [0]"));
        coordinator(&folder, &["run", "small.yaml", "--smoke", "--data-root", "data", "--out", "report"]).expect(0);
    }
    // Three methods with three seeds; the probes have two more controls.
    assert_eq!((pretext[0].len(), pretext[1].len()), (9, 15));
    assert!(pretext[0].is_subset(&pretext[1]));
}
