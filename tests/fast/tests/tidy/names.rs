//! Walls of names: a module is called by its subject.

use super::source::Source;
use super::workspace::{read, rust_files};

/// Names that say nothing of a subject, so that anything may gather there.
const EMPTY: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

#[test]
fn every_module_is_named_by_its_subject() {
    let mut found = Vec::new();
    for file in rust_files() {
        let path = file.strip_suffix(".rs").unwrap_or(&file);
        found.extend(path.split('/').filter(|part| EMPTY.contains(part)).map(|part| format!("{file}: {part}")));
        let inline = Source::parse(&file, &read(&file)).inline;
        found.extend(inline.iter().filter(|name| EMPTY.contains(&name.as_str())).map(|name| format!("{file}: {name}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
