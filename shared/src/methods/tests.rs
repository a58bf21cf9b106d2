//! Tests of the registry: its names, and the tables that people read.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_name_is_written_as_it_is_stored() {
    let mut seen = BTreeSet::new();
    for method in Method::ALL {
        let stored = serde_json::to_string(&method).expect("a name");
        assert_eq!(stored, format!("\"{method}\""));
        assert!(seen.insert(method.title()), "two methods are titled {}", method.title());
    }
}

#[test]
fn no_two_lines_look_the_same() {
    let mut seen = BTreeSet::new();
    for method in Method::ALL {
        let line = method.about().line;
        assert!(seen.insert((line.colour.name, line.dashes)), "{method}");
    }
}

#[test]
fn the_documents_have_every_method_and_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    let text = std::fs::read_to_string(path).expect("the documents are beside the code");
    let mut missing = BTreeSet::new();
    for method in Method::ALL {
        let row = method.about().row;
        let line = format!("| `{method}` | {} | {} | {} |", row.pretext, row.downstream, row.description);
        let keys =
            method.keys().into_iter().map(|key| format!("| `{}` | {} | {} |", key.name, key.default, key.meaning));
        missing.extend(keys.chain([line]).filter(|line| !text.lines().any(|other| other == line)));
    }
    let missing: Vec<String> = missing.into_iter().collect();
    assert!(missing.is_empty(), "docs/recipes.md needs these rows:\n{}", missing.join("\n"));
}
