//! Groups (slides): no split has images of one slide in two parts, whether a list or the image names state the groups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pretext_tests::processes::read;
use pretext_tests::{Daemon, Scratch, Server, coordinator, turn};
use serde_json::Value;

const SWEEP: &str = "\
name: slides
dataset: {kind: image-folder, path: slides, image_size: 16, test_fraction: 0.25, groups: \"{*}_*_*\"}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 1e-3}}
seeds: [0, 1]
pretext: {epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
numeric: cpu
";

/// Writes eight slides of each of two classes, and one with both, with tiles named `SLIDE_x_y.png`.
fn tiles(root: &Path) {
    for (label, class) in ["benign", "dcis"].into_iter().enumerate() {
        let folder = root.join(class);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        for number in 0..9u8 {
            let slide = if number == 8 { "TCGA-both".to_owned() } else { format!("TCGA-{label}{number}") };
            for tile in 0..4u8 {
                let picture =
                    image::RgbImage::from_pixel(16, 16, image::Rgb([tile * 60, 100 * label as u8 + number, 7]));
                picture.save(folder.join(format!("{slide}_{tile}_0.png"))).expect("a writable file");
            }
        }
    }
}

/// Returns the rows of a CSV file, by the names in its first line. Fields must have no commas.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = read(path);
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap_or_else(|| panic!("{} is empty", path.display())).collect();
    lines.map(|fields| names.iter().cloned().zip(fields).collect()).collect()
}

/// Returns the slide in the name of a tile.
fn slide(path: &str) -> String {
    let name = path.rsplit('/').next().expect("a name");
    name.split('_').next().expect("a slide").to_owned()
}

/// Returns the part of each slide in one split. No slide is in two parts.
fn parts(folder: &Scratch, file: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    for row in rows(&folder.path("report/splits").join(file)) {
        assert_eq!(row["group"], slide(&row["path"]), "{file}");
        let part = parts.entry(row["group"].clone()).or_insert_with(|| row["part"].clone());
        assert_eq!(*part, row["part"], "{file}: {} is on two sides", row["group"]);
    }
    parts
}

#[test]
fn no_slide_is_on_two_sides_of_a_split() {
    let _turn = turn::training();
    let folder = Scratch::new();
    tiles(&folder.path("data/slides"));
    folder.file("sweep.yaml", SWEEP);
    let run = ["run", "sweep.yaml", "--smoke", "--device", "cpu", "--data-root", "data", "--out", "report"];
    coordinator(&folder, &run).expect(0);

    let predictions = std::fs::read_dir(folder.path("report/predictions")).expect("predictions").flatten();
    let tested: Vec<BTreeSet<String>> =
        predictions.map(|file| rows(&file.path()).iter().map(|row| slide(&row["path"])).collect()).collect();
    assert_eq!(tested.len(), 2 * 2 * 2);
    assert!(tested.iter().all(|slides| *slides == tested[0] && !slides.is_empty()), "{tested:?}");

    let index = rows(&folder.path("report/splits/index.csv"));
    // Rotation has a pretext and a downstream stage at two fractions and seeds, supervised one.
    assert_eq!(index.len(), 3 * 2 * 2);
    let mut by_split = BTreeMap::new();
    for row in &index {
        let parts = parts(&folder, &row["file"]);
        assert!(parts.keys().all(|slide| !tested[0].contains(slide)), "{row:?}: a tested slide");
        let known = by_split.entry((row["seed"].clone(), row["fraction"].clone())).or_insert_with(|| parts.clone());
        assert_eq!(*known, parts, "pretext and downstream training have one split");
    }
    for seed in ["0", "1"] {
        let at = |fraction: &str| &by_split[&(seed.to_owned(), fraction.to_owned())];
        let (half, all) = (at("0.5"), at("1"));
        assert!(half.len() < all.len() && half.iter().all(|(slide, part)| all[slide] == *part), "nested");
        assert_eq!(all.len() + tested[0].len(), 17, "every slide has its place");
    }
    let results: Value = serde_json::from_str(&read(&folder.path("report/results.json"))).expect("JSON");
    assert_eq!(results["test_set"]["images"], results["cells"][0]["test"]["seen"]);
    let report = read(&folder.path("report/report.md"));
    assert!(report.contains("The images belong to 17 groups (read from file names"), "{report}");

    // A list with the same groups is the same data: nothing is trained again.
    let mut list = "path,group\n".to_owned();
    for class in ["benign", "dcis"] {
        for tile in std::fs::read_dir(folder.path("data/slides").join(class)).expect("a folder").flatten() {
            let name = tile.file_name().into_string().expect("text");
            list.push_str(&format!("{class}/{name},{}\n", slide(&name)));
        }
    }
    std::fs::write(folder.path("data/slides/groups.csv"), list).expect("a writable folder");
    let plan = ["plan", "sweep.yaml", "--data-root", "data", "--json"];
    let both = coordinator(&folder, &plan).expect(2);
    assert!(both.stderr.contains("groups.csv beside them"), "{both:?}");
    let stages = |text: &str| {
        folder.file("sweep.yaml", text);
        let plan = coordinator(&folder, &plan).expect(0).json();
        let stages = plan["stages"].as_array().expect("stages").iter();
        stages.map(|stage| stage["id"].to_string()).collect::<BTreeSet<_>>()
    };
    let listed = stages(&SWEEP.replace(", groups: \"{*}_*_*\"", ""));
    std::fs::remove_file(folder.path("data/slides/groups.csv")).expect("a file");
    assert_eq!(stages(SWEEP), listed);
    assert!(stages(&SWEEP.replace(", groups: \"{*}_*_*\"", "")).is_disjoint(&listed), "groups decide results");
}

#[test]
fn a_worker_announces_the_groups_that_it_was_told_of() {
    let _turn = turn::training();
    let folder = Scratch::new();
    tiles(&folder.path("data/slides"));
    let server = Server::start(&folder, &[]);
    let root = folder.path("data");
    let root = root.to_str().expect("a text path");
    let file = folder.file("sweep.yaml", &SWEEP.replace("seeds: [0, 1]", "seeds: [0]"));
    let submit = ["submit", file.to_str().expect("a text path"), "--smoke", "--watch"];
    let plain = Daemon::start(&folder, &server.url, "plain", &["--data-root", root]);
    server.registered(&folder, 1);
    let refused = server.ask(&folder, &submit).expect(2);
    assert!(refused.stderr.contains("--dataset 'image-folder:slides?groups={*}_*_*'"), "{refused:?}");
    let told = ["--data-root", root, "--dataset", "image-folder:slides?groups={*}_*_*"];
    let grouped = Daemon::start(&folder, &server.url, "grouped", &told);
    server.registered(&folder, 2);
    server.ask(&folder, &submit).expect(0);
    drop((plain, grouped));
}
