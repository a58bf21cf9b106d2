//! `coordinator init`: folders of different layouts become sweeps that a plan accepts.

use pretext_tests::{Scratch, coordinator, pictures};

#[test]
fn a_folder_becomes_a_sweep_that_is_planned() {
    for parts in [&["train", "test"][..], &["."]] {
        let folder = Scratch::new();
        for part in parts {
            pictures::image_folder(&folder.path("discs"), part, &["left", "right"], 12);
        }
        let output = coordinator(&folder, &["init", "discs"]).expect(0);
        assert!(
            output.stdout.contains("wrote sweep.yaml") && output.stdout.contains("coordinator plan sweep.yaml"),
            "{output:?}"
        );
        let text = std::fs::read_to_string(folder.path("sweep.yaml")).expect("written");
        assert_eq!(text.contains("test_fraction: 0.2"), parts.len() == 1, "{text}");
        let plan = coordinator(&folder, &["plan", "sweep.yaml"]).expect(0);
        assert!(
            plan.stdout.contains("data: image-folder:discs · 2 classes") && plan.stdout.contains("left"),
            "{}",
            plan.stdout
        );
        // An existing file is kept.
        let again = coordinator(&folder, &["init", "discs"]).expect(2);
        assert!(again.stderr.contains("sweep.yaml exists already"), "{again:?}");
        assert_eq!(std::fs::read_to_string(folder.path("sweep.yaml")).expect("kept"), text);
        let other = coordinator(&folder, &["init", "discs", "--out", "other.yaml", "--json"]).expect(0).json();
        assert_eq!((&other["file"], &other["dataset"]), (&"other.yaml".into(), &"image-folder:discs".into()));
        assert_eq!(other["commands"][2], "coordinator run other.yaml");
    }
}

#[test]
fn a_folder_without_pictures_is_refused() {
    let folder = Scratch::new();
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    let output = coordinator(&folder, &["init", "empty"]).expect(2);
    assert!(output.stderr.contains("empty") && !folder.path("sweep.yaml").exists(), "{output:?}");
}
