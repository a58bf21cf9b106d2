//! The recipes in examples/: each is planned unchanged, on artificial images in the form of its data set. Then it is
//! run with sizes that a CPU can do in a moment.

use std::collections::BTreeSet;
use std::path::Path;

use pretext_tests::{Scratch, coordinator, pictures, turn};
use serde_json::Value;

fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a small binary release of CIFAR-10: ten classes in each of six files, with `count` images for each class and
/// file.
fn cifar10(root: &Path, count: usize) {
    let folder = root.join("cifar-10-batches-bin");
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let names = (1..=5).map(|n| format!("data_batch_{n}.bin")).chain(["test_batch.bin".to_owned()]);
    for (file, name) in names.enumerate() {
        let mut bytes = Vec::new();
        for image in 0..10 * count {
            let class = image % 10;
            bytes.push(class as u8);
            bytes.extend((0..3 * 32 * 32).map(|i| ((i / 32 % 32) * 6 + i % (class + 3) * 9 + image * 7 + file) as u8));
        }
        std::fs::write(folder.join(name), bytes).expect("a writable file");
    }
}

/// Plans `text` and returns the plan as JSON.
fn plan(folder: &Scratch, text: &str) -> Value {
    folder.file("sweep.yaml", text);
    coordinator(folder, &["plan", "sweep.yaml", "--data-root", "data", "--json"]).expect(0).json()
}

/// Returns `text` with pieces of it replaced.
fn cut(text: &str, replace: &[(&str, &str)]) -> String {
    replace.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// Runs `text` with small sizes. All cells must succeed; the report is in `folder/report`.
fn rehearse(folder: &Scratch, text: &str) -> Value {
    folder.file("small.yaml", text);
    let arguments = ["run", "small.yaml", "--smoke", "--data-root", "data", "--out", "report"];
    coordinator(folder, &arguments).expect(0);
    let results = std::fs::read_to_string(folder.path("report/results.json")).expect("a report");
    let results: Value = serde_json::from_str(&results).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    assert!(cells.iter().all(|cell| cell["state"] == "succeeded" && cell["test"]["seen"].is_u64()), "{results}");
    results
}

/// Returns the pretext stages of the cells of `results`.
fn pretext_stages(results: &Value) -> BTreeSet<&str> {
    let cells = results["cells"].as_array().expect("cells").iter();
    cells.filter_map(|cell| cell["pretext"]["stage"].as_str()).collect()
}

/// Returns the number of cells of a plan or of results.
fn cells(of: &Value) -> usize {
    of["cells"].as_array().expect("it has cells").len()
}

#[test]
fn the_original_study() {
    let _turn = turn::training();
    let (folder, text) = (Scratch::new(), recipe("original-study.yaml"));
    for (part, count) in [("train", 600), ("test", 2)] {
        // Enough for batches of 64 at 5 %: 3 × 30 images, of which 72 train.
        pictures::image_folder(&folder.path("data/breast"), part, &["adh", "benign", "dcis"], count);
    }
    // Supervised and random-init at four fractions, three methods at three; two policies, three seeds.
    assert_eq!(cells(&plan(&folder, &text)), (2 * 4 + 3 * 3) * 2 * 3);
    let small = [
        ("image_size: 224", "image_size: 32"),
        ("kind: resnet50", "kind: resnet18"),
        ("fractions: [5%, 25%, 50%, 100%]", "fractions: [5%, 100%]"),
        ("seeds: [0, 1, 2]", "seeds: [0]"),
        ("batch: 64", "batch: 4"),
    ];
    let results = rehearse(&folder, &cut(&text, &small));
    assert_eq!(cells(&results), (2 * 2 + 3) * 2);
    // Pretext training uses the fraction's images, under both policies.
    assert_eq!(pretext_stages(&results).len(), 3 * 2);
    // The study started from ImageNet's weights; the report says that this run did not.
    let report = std::fs::read_to_string(folder.path("report/report.md")).expect("a report");
    assert!(
        report.contains("**Initial weights**: Random, drawn from the seed; no weights file was loaded."),
        "{report}"
    );
    let (stem, hash) = ("{kind: resnet50, stem: 7x7}", "0".repeat(64));
    let weights = format!("{{kind: resnet50, stem: 7x7, weights: {{path: r50.pth, sha256: \"{hash}\"}}}}");
    let with_weights = plan(&folder, &cut(&text, &[(stem, weights.as_str())]));
    let stages = with_weights["stages"].as_array().expect("stages").iter();
    let first = stages.filter(|stage| stage["stage"]["spec"]["weights"] == *hash).count();
    // Three methods at three fractions, and the baseline at four, by two policies and three seeds.
    assert_eq!(first, (3 * 3 + 4) * 2 * 3);
}

#[test]
fn rotnet_on_cifar10() {
    let _turn = turn::training();
    let (folder, text) = (Scratch::new(), recipe("rotnet-cifar10.yaml"));
    cifar10(&folder.path("data"), 40);
    let whole = plan(&folder, &text);
    assert_eq!(cells(&whole), (3 * 3 + 2) * 3);
    // Rotations, noise and turned images are trained once a seed, whatever uses them.
    let pretext = whole["stages"].as_array().expect("stages").iter();
    assert_eq!(pretext.filter(|stage| stage["stage"]["spec"]["stage"] == "pretext").count(), 3 * 3);
    let small = [
        ("fractions: [5%, 25%, 100%]", "fractions: [25%]"),
        ("fraction: 25%", "fraction: 25%, seed: 1"),
        ("  - {method: rotation-noise, fraction: 100%}\n", ""),
        ("  - {method: rotation-pre-rotated, fraction: 100%}\n", ""),
        ("seeds: [0, 1, 2]", "seeds: [0, 1]"),
        ("batch: 128", "batch: 4"),
        ("every: 10", "every: 1"),
    ];
    let small = cut(&text, &small);
    let at_block_two = rehearse(&folder, &small);
    assert_eq!(cells(&at_block_two), 5 * 2 - 2);
    // The heads on other blocks use the same pretext stages.
    for block in [1, 3, 4] {
        let there = format!("\n  block: {block}");
        let results = rehearse(&folder, &cut(&small, &[("\n  block: 2", there.as_str())]));
        assert_eq!(cells(&results), 5 * 2 - 2, "block {block}");
        assert_eq!(pretext_stages(&results), pretext_stages(&at_block_two), "block {block}");
    }
}

#[test]
fn simclr_on_cifar10() {
    let _turn = turn::training();
    for (name, methods, seeds) in [("simclr-cifar10.yaml", 3, 3), ("simclr-cifar10-sgd.yaml", 2, 3)] {
        let (folder, text) = (Scratch::new(), recipe(name));
        cifar10(&folder.path("data"), 14);
        assert_eq!(cells(&plan(&folder, &text)), methods * 3 * seeds);
        let small = [
            ("fractions: [5%, 25%, 100%]", "fractions: [25%]"),
            ("seeds: [0, 1, 2]", "seeds: [0]"),
            ("batch: 512", "batch: 4"),
            ("every: 10", "every: 1"),
        ];
        assert_eq!(cells(&rehearse(&folder, &cut(&text, &small))), methods);
    }
}
