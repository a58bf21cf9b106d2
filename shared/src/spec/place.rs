//! Finds the place of a key in the text of a sweep file, for problems that only the data show.

use super::node::{self, Node, Value};

/// The place of a value in a sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1; 0 if the text is not YAML.
    pub line: usize,
    /// Column in characters, counted from 1; 0 if the text is not YAML.
    pub column: usize,
    /// The part of the path that the file has.
    pub path: String,
}

/// Returns the place of the value at `path` (`fractions[1]`, `pretext.batch`). If the file does not have it, this is the
/// place of the nearest value above it.
pub fn place(text: &str, path: &str) -> Place {
    let Ok(root) = node::read(text) else { return Place { line: 0, column: 0, path: String::new() } };
    let (mut node, mut found) = (&root, String::new());
    for step in steps(path) {
        let Some(next) = step.below(node) else { break };
        node = next;
        found = match step {
            Step::Key(key) if found.is_empty() => key.to_owned(),
            Step::Key(key) => format!("{found}.{key}"),
            Step::Item(index) => format!("{found}[{index}]"),
        };
    }
    Place { line: node.at.line, column: node.at.column, path: found }
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

impl Step<'_> {
    fn below<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        match (self, &node.value) {
            (Step::Key(key), Value::Map(entries)) => {
                entries.iter().find(|(name, _)| name.text == *key).map(|(_, node)| node)
            }
            (Step::Item(index), Value::List(items)) => items.get(*index),
            _ => None,
        }
    }
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').flat_map(|part| {
        let mut pieces = part.split('[');
        let key = pieces.next().filter(|key| !key.is_empty()).map(Step::Key);
        let items = pieces.filter_map(|piece| piece.strip_suffix(']')?.parse().ok().map(Step::Item));
        key.into_iter().chain(items)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_or_what_stands_above_it() {
        let text = "name: a\nfractions: [5%, 50%]\npretext:\n  batch: 8\n";
        let at = |path: &str| {
            let place = place(text, path);
            (place.line, place.column, place.path)
        };
        assert_eq!(at("fractions[1]"), (2, 17, "fractions[1]".to_owned()));
        assert_eq!(at("pretext.batch"), (4, 10, "pretext.batch".to_owned()));
        assert_eq!(at("pretext.data"), (4, 3, "pretext".to_owned()));
        assert_eq!(at("overrides.simclr.pretext.batch"), (1, 1, String::new()));
        assert_eq!(place("{", "name").line, 0);
    }
}
