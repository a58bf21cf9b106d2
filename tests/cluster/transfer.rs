//! Pretext training on one data set, with labels from another.

use pretext_tests::{Scratch, coordinator, pictures, turn};
use serde_json::Value;

const SWEEP: &str = "\
name: transfer
dataset: {kind: image-folder, path: breast, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 1e-3}}
pretext: {dataset: {kind: image-folder, path: kidney}, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
numeric: cpu
";

#[test]
fn pretext_reads_other_images_and_the_report_says_so() {
    let _turn = turn::training();
    let folder = Scratch::new();
    for (set, classes) in [("breast", &["a", "b"][..]), ("kidney", &["x", "y", "z"][..])] {
        pictures::image_folder(&folder.path("data").join(set), "train", classes, 10);
        pictures::image_folder(&folder.path("data").join(set), "test", classes, 3);
    }
    folder.file("sweep.yaml", SWEEP);
    let plan = coordinator(&folder, &["plan", "sweep.yaml", "--data-root", "data"]).expect(0);
    assert!(plan.stdout.contains("pretext data: a separate data set"), "{plan:?}");
    let arguments = ["run", "sweep.yaml", "--smoke", "--device", "cpu", "--data-root", "data", "--out", "report"];
    coordinator(&folder, &arguments).expect(0);
    let text = std::fs::read_to_string(folder.path("report/results.json")).expect("a report");
    let results: Value = serde_json::from_str(&text).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    assert!(cells.iter().all(|cell| cell["state"] == "succeeded"), "{results}");
    assert_eq!(results["provenance"]["pretext_dataset"]["key"], "image-folder:kidney");
    // One pretext stage for both fractions, on the training images of the other set only.
    let pretext: Vec<&Value> = cells.iter().map(|cell| &cell["pretext"]).filter(|stage| !stage.is_null()).collect();
    assert_eq!((pretext.len(), &pretext[0]["stage"]), (2, &pretext[1]["stage"]));
    assert_eq!((&pretext[0]["train_images"], &pretext[0]["validation_images"]), (&24.into(), &6.into()));
    let report = std::fs::read_to_string(folder.path("report/report.md")).expect("a report");
    assert!(report.contains("**Pretext data**: image-folder:kidney"), "{report}");
    assert!(report.contains("(protocol transfer)"), "{report}");
    // Finished work is found again, and a missing data set is named.
    coordinator(&folder, &arguments).expect(0);
    std::fs::rename(folder.path("data/kidney"), folder.path("data/liver")).expect("a folder");
    let gone = coordinator(&folder, &["plan", "sweep.yaml", "--data-root", "data"]).expect(2);
    assert!(gone.stderr.contains("image-folder:kidney"), "{gone:?}");
}
