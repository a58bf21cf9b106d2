//! Walls of files: one main idea each, said in the first line, in a length that is read at once.

use super::workspace::{read, rust_files};

/// Largest number of lines of a file.
const LONGEST: usize = 500;

/// Files that are still longer, with their lines. This list may only shrink.
const LONGER: &[(&str, usize)] = &[("shared/src/spec/tests.rs", 536)];

#[test]
fn every_file_begins_with_what_it_is() {
    let first = |file: &String| read(file).lines().next().unwrap_or_default().to_owned();
    let bare: Vec<String> = rust_files().into_iter().filter(|file| !first(file).starts_with("//! ")).collect();
    assert!(bare.is_empty(), "these do not begin with `//! ` and a sentence: {bare:#?}");
}

#[test]
fn no_file_is_too_long() {
    let mut broken = Vec::new();
    for file in rust_files() {
        let lines = read(&file).lines().count();
        match LONGER.iter().find(|(known, _)| *known == file) {
            None if lines > LONGEST => broken.push(format!("{file} has {lines} lines, more than {LONGEST}")),
            Some((_, known)) if lines > *known => {
                broken.push(format!("{file} has grown from {known} to {lines} lines"))
            }
            Some(_) if lines <= LONGEST => broken.push(format!("{file} is short enough: take it out of the list")),
            _ => {}
        }
    }
    let gone = LONGER.iter().filter(|(known, _)| !super::workspace::root().join(known).is_file());
    broken.extend(gone.map(|(known, _)| format!("{known} is gone: take it out of the list")));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
