//! Walls of files: one main idea each, said in the first line, in a length that is read at once.

use super::workspace::{read, rust_files};

/// Largest number of lines of a file.
const LONGEST: usize = 500;

#[test]
fn every_file_begins_with_what_it_is() {
    let first = |file: &String| read(file).lines().next().unwrap_or_default().to_owned();
    let bare: Vec<String> = rust_files().into_iter().filter(|file| !first(file).starts_with("//! ")).collect();
    assert!(bare.is_empty(), "these do not begin with `//! ` and a sentence: {bare:#?}");
}

#[test]
fn no_file_is_too_long() {
    let lines = |file: &String| read(file).lines().count();
    let long: Vec<_> =
        rust_files().into_iter().map(|file| (lines(&file), file)).filter(|(lines, _)| *lines > LONGEST).collect();
    assert!(long.is_empty(), "these have more than {LONGEST} lines: {long:#?}");
}
