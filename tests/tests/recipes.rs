//! The recipes in examples/: each is planned as it is, on made-up images in the form of its data set, and rehearsed with the
//! sizes cut down to what a CPU takes in a moment.

use std::path::Path;

use pretext_tests::{Scratch, coordinator, pictures};
use serde_json::Value;

fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The binary release of CIFAR-10 in little: ten classes in each of six files, `count` images a class and file.
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

/// Plans `text`: the plan as JSON.
fn plan(folder: &Scratch, text: &str) -> Value {
    folder.file("sweep.yaml", text);
    coordinator(folder, &["plan", "sweep.yaml", "--data-root", "data", "--json"]).expect(0).json()
}

/// Rehearses `text` with pieces of it replaced, and counts the cells that succeeded.
fn rehearse(folder: &Scratch, text: &str, replace: &[(&str, &str)]) -> usize {
    let small = replace.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    folder.file("small.yaml", &small);
    let arguments = ["run", "small.yaml", "--smoke", "--data-root", "data", "--out", "report"];
    coordinator(folder, &arguments).expect(0);
    let results = std::fs::read_to_string(folder.path("report/results.json")).expect("a report");
    let results: Value = serde_json::from_str(&results).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    assert!(cells.iter().all(|cell| cell["state"] == "succeeded"), "{results}");
    cells.len()
}

fn cells(plan: &Value) -> usize {
    plan["cells"].as_array().expect("a plan has cells").len()
}

#[test]
fn the_original_study() {
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
        ("  fixed: {kind: constant, base: 5e-6}\n", ""),
        ("batch: 64", "batch: 4"),
    ];
    assert_eq!(rehearse(&folder, &text, &small), 2 * 2 + 3);
}

#[test]
fn rotnet_on_cifar10() {
    let (folder, text) = (Scratch::new(), recipe("rotnet-cifar10.yaml"));
    cifar10(&folder.path("data"), 40);
    let whole = plan(&folder, &text);
    assert_eq!(cells(&whole), (3 * 3 + 2) * 3);
    // Rotations, noise and turned images are trained once a seed, whatever is built on them.
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
    assert_eq!(rehearse(&folder, &text, &small), 5 * 2 - 2);
}

#[test]
fn simclr_on_cifar10() {
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
        assert_eq!(rehearse(&folder, &text, &small), methods);
    }
}
