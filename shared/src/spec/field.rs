//! Takes typed values out of the tree. A reader that finds a problem reports it and returns `None`. The section then
//! continues with its other keys, so that all problems are reported together.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use super::error::{Issue, SpecErrors, quoted};
use super::node::{Key, Node, Position, Value};
use super::remedy;

/// Most problems that are kept and shown.
const MAX_ISSUES: usize = 50;

/// The problems found so far.
#[derive(Default)]
pub(super) struct Issues {
    kept: RefCell<Vec<Issue>>,
    omitted: RefCell<usize>,
}

impl Issues {
    pub(super) fn report(&self, at: Position, path: &str, message: String, help: Option<String>) {
        let issue = Issue { line: at.line, column: at.column, path: path.to_owned(), message, help };
        let mut kept = self.kept.borrow_mut();
        // A section that several methods share is read once for each of them; report its problems once.
        if kept.contains(&issue) {
            return;
        }
        if kept.len() < MAX_ISSUES {
            kept.push(issue);
        } else {
            *self.omitted.borrow_mut() += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.borrow().is_empty()
    }

    pub(super) fn into_errors(self) -> SpecErrors {
        let mut issues = self.kept.into_inner();
        issues.sort_by_key(|issue| (issue.line, issue.column));
        SpecErrors { issues, omitted: self.omitted.into_inner() }
    }
}

/// A value with its position.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
    issues: &'a Issues,
}

impl<'a> Field<'a> {
    pub(super) fn root(node: &'a Node, issues: &'a Issues) -> Self {
        Self { node, path: String::new(), issues }
    }

    /// Reports a problem of this value.
    pub(super) fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.issues.report(self.node.at, &self.path, message.into(), None);
        None
    }

    /// Reports a problem of this value, and what to do.
    pub(super) fn refuse_with<T>(&self, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        self.issues.report(self.node.at, &self.path, message.into(), Some(help.into()));
        None
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.refuse(format!("expected {what}, found {}", self.found()))
    }

    /// Refuses a value that is no number; says how to write it as one, if it means one.
    fn expected_number<T>(&self, what: &str) -> Option<T> {
        match self.text_meant(remedy::of_number) {
            Some(help) => self.refuse_with(format!("expected {what}, found {}", self.found()), help),
            None => self.expected(what),
        }
    }

    fn text_meant(&self, remedy: impl Fn(&str) -> Option<String>) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => remedy(text),
            _ => None,
        }
    }

    fn found(&self) -> String {
        match &self.node.value {
            Value::Nothing => "nothing".to_owned(),
            Value::Switch(value) => format!("`{value}`"),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Returns a whole number in `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let value = match self.node.value {
            Value::Integer(value) => u64::try_from(value).ok(),
            // 1e3 is a whole number too.
            Value::Number(value) if value.fract() == 0.0 && (0.0..9e15).contains(&value) => Some(value as u64),
            _ => None,
        };
        match value.filter(|value| range.contains(value)) {
            Some(value) => Some(value),
            None if *range.end() >= 1 << 53 => {
                self.expected_number(&format!("a whole number of at least {}", range.start()))
            }
            None => self.expected_number(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// Like [`Field::integer`], for numbers below 2^32.
    pub(super) fn small(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.integer(u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(value).ok()
    }

    /// Returns a small whole number, which may be negative.
    pub(super) fn signed(&self, range: RangeInclusive<i8>) -> Option<i8> {
        let value = match self.node.value {
            Value::Integer(value) => i8::try_from(value).ok(),
            _ => None,
        };
        let expected = || self.expected_number(&format!("a whole number from {} to {}", range.start(), range.end()));
        value.filter(|value| range.contains(value)).or_else(expected)
    }

    /// Returns a finite number that `accept` accepts; `what` describes it.
    pub(super) fn number(&self, what: &str, accept: impl Fn(f64) -> bool) -> Option<f64> {
        let value = match self.node.value {
            Value::Integer(value) => Some(value as f64),
            Value::Number(value) => Some(value),
            _ => None,
        };
        value.filter(|value| value.is_finite() && accept(*value)).or_else(|| self.expected_number(what))
    }

    /// Returns `true` or `false`.
    pub(super) fn switch(&self) -> Option<bool> {
        match self.node.value {
            Value::Switch(value) => Some(value),
            _ => match self.text_meant(remedy::of_switch) {
                Some(help) => self.refuse_with(format!("expected `true` or `false`, found {}", self.found()), help),
                None => self.expected("`true` or `false`"),
            },
        }
    }

    /// Returns text; `what` describes it.
    pub(super) fn text(&self, what: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Number(_) | Value::Switch(_) => {
                self.refuse_with(format!("expected {what}, found {}", self.found()), "write it in quotes")
            }
            _ => self.expected(what),
        }
    }

    /// Returns one of the named `choices`; `what` describes them.
    pub(super) fn choice<T: Clone>(&self, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let Value::Text(text) = &self.node.value else { return self.expected(what) };
        match choices.iter().find(|(name, _)| name == text) {
            Some((_, value)) => Some(value.clone()),
            None => {
                let help = suggestion(text, choices.iter().map(|(name, _)| *name));
                self.refuse_with(format!("{} is not {what}", quoted(text)), help)
            }
        }
    }

    /// Returns the items of a list that is not empty.
    pub(super) fn list(&self, what: &str) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            Value::List(items) if items.is_empty() => {
                self.refuse(format!("the list is empty: give at least one {what}"))
            }
            Value::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, node)| Field { node, path: format!("{}[{i}]", self.path), issues: self.issues })
                    .collect(),
            ),
            Value::Text(_) | Value::Integer(_) | Value::Number(_) => self.refuse_with(
                format!("expected a list (`[…]`) of {what}s, found {}", self.found()),
                "put it in square brackets, also if there is only one",
            ),
            _ => self.expected(&format!("a list (`[…]`) of {what}s")),
        }
    }

    /// Returns the entries of a mapping.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        match &self.node.value {
            Value::Map(entries) => {
                let layer = Layer { entries, path: self.path.clone(), at: self.node.at };
                Some(Section { layers: vec![layer], issues: self.issues })
            }
            _ => self.expected("a mapping (`key: value`)"),
        }
    }
}

#[derive(Clone)]
struct Layer<'a> {
    entries: &'a [(Key, Node)],
    path: String,
    at: Position,
}

impl<'a> Layer<'a> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }
}

/// One mapping, or several layers; the topmost layer with a key has priority.
#[derive(Clone)]
pub(super) struct Section<'a> {
    layers: Vec<Layer<'a>>,
    issues: &'a Issues,
}

impl<'a> Section<'a> {
    /// Returns an empty mapping for a missing `key` of this one.
    pub(super) fn empty(&self, key: &str) -> Section<'a> {
        let layers = self.layers.last().map(|base| Layer { entries: &[], path: base.path_of(key), at: base.at });
        Section { layers: layers.into_iter().collect(), issues: self.issues }
    }

    /// Returns this mapping laid over `base`.
    pub(super) fn over(mut self, base: &Section<'a>) -> Section<'a> {
        self.layers.extend(base.layers.iter().cloned());
        self
    }

    /// Returns the layers one by one, topmost first.
    pub(super) fn layers(&self) -> impl Iterator<Item = Section<'a>> {
        self.layers.iter().map(|layer| Section { layers: vec![layer.clone()], issues: self.issues })
    }

    /// Reports keys that are not among `known`.
    pub(super) fn only(&self, known: &[&str]) {
        for layer in &self.layers {
            let unknown = layer.entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str()));
            // The search for similar names takes time, and further problems are not kept.
            for (key, _) in unknown.take(MAX_ISSUES) {
                let message = format!("unknown key {}", quoted(&key.text));
                let help = remedy::of_key(&key.text, known);
                let help = help.unwrap_or_else(|| suggestion(&key.text, known.iter().copied()));
                self.issues.report(key.at, &layer.path, message, Some(help));
            }
        }
    }

    /// Returns all entries, and the positions of their keys.
    pub(super) fn entries(&self) -> Vec<(&'a Key, Field<'a>)> {
        let field = |layer: &Layer<'a>, key: &Key, node: &'a Node| Field {
            node,
            path: layer.path_of(&key.text),
            issues: self.issues,
        };
        self.layers
            .iter()
            .flat_map(|layer| layer.entries.iter().map(move |(key, node)| (key, field(layer, key, node))))
            .collect()
    }

    /// Returns the value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        self.layers
            .iter()
            .find_map(|layer| layer.get(key).map(|node| Field { node, path: layer.path_of(key), issues: self.issues }))
    }

    /// Reports that `key` is missing; `help` says what to give.
    pub(super) fn missing<T>(&self, key: &str, help: impl Into<String>) -> Option<T> {
        if let Some(base) = self.layers.last() {
            self.issues.report(base.at, &base.path, format!("`{key}` is missing"), Some(help.into()));
        }
        None
    }

    /// Reports a problem of the mapping itself.
    pub(super) fn refuse<T>(&self, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        if let Some(base) = self.layers.last() {
            self.issues.report(base.at, &base.path, message.into(), Some(help.into()));
        }
        None
    }

    /// Returns the value of `key`, which is required.
    pub(super) fn need<T>(&self, key: &str, help: &str, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<T> {
        match self.get(key) {
            Some(field) => read(field),
            None => self.missing(key, help),
        }
    }

    /// Returns the value of `key`, or `default` if it is missing.
    pub(super) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }

    /// Returns the value of `key`, or `Some(None)` if it is missing.
    pub(super) fn optional<T>(&self, key: &str, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |field| read(field).map(Some))
    }
}

/// Returns "did you mean" if a known name is similar, else the list of known names.
fn suggestion<'n>(text: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', ' '], "-");
    let near = known
        .iter()
        .filter(|_| text.len() <= 64)
        .map(|name| (strsim::osa_distance(&plain(text), &plain(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.len() > 20 => format!("one of {} and {} more", list(&known[..20]), known.len() - 20),
        None => format!("known here: {}", list(&known)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
