//! Every deliberate bug of tests/mutants fits the code of today, at one place. `make mutants` runs them.

use std::path::Path;

use super::workspace::{read, relative, root};

/// Returns the patches, by their paths from the root.
fn patches() -> Vec<String> {
    let folders = ["tests/mutants", "tests/mutants/spool"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder").flatten());
    let is_patch = |path: &Path| path.extension().is_some_and(|extension| extension == "patch");
    let mut patches: Vec<String> =
        entries.map(|entry| entry.path()).filter(|path| is_patch(path)).map(|path| relative(&path)).collect();
    patches.sort();
    patches
}

/// A change of a file, at one place.
struct Hunk {
    file: String,
    /// The lines before the change, with those around it.
    before: Vec<String>,
    after: Vec<String>,
}

/// Reads a patch.
fn hunks(text: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = Some(path.to_owned());
        } else if line.starts_with("@@") {
            let file = file.clone().expect("a hunk is of a file");
            hunks.push(Hunk { file, before: vec![], after: vec![] });
        } else if let (Some(hunk), false) = (hunks.last_mut(), line.starts_with("--- ")) {
            // An editor may have taken the blank from an empty line of context.
            let (sign, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
            if sign != "+" {
                hunk.before.push(rest.to_owned());
            }
            if sign != "-" {
                hunk.after.push(rest.to_owned());
            }
        }
    }
    hunks
}

#[test]
fn every_bug_fits_at_one_place() {
    let patches = patches();
    assert!(patches.len() >= 75, "{} patches", patches.len());
    let mut broken = Vec::new();
    for patch in &patches {
        let hunks = hunks(&read(patch));
        assert!(!hunks.is_empty(), "{patch} changes nothing");
        for Hunk { file, before, after } in hunks {
            assert_ne!(before, after, "{patch}");
            if !root().join(&file).is_file() {
                broken.push(format!("{patch}: there is no {file}"));
                continue;
            }
            let text = read(&file);
            let lines: Vec<&str> = text.lines().collect();
            match lines.windows(before.len()).filter(|window| *window == before).count() {
                1 => {}
                places => broken.push(format!("{patch} fits {file} at {places} places")),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
