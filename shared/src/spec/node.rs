//! The YAML text as a tree of values that know their positions.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::error::{Issue, SpecErrors};
use super::remedy;

/// Size of the largest sweep file that is read: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;
/// Most levels of nesting; sweep files need only a few.
const MAX_DEPTH: usize = 32;
/// Most nodes of the tree: enough for axes of [`super::MAX_CELLS`] values.
const MAX_NODES: usize = 200_000;
/// Most aliases: enough to write a block once and use it a few times.
const MAX_ALIASES: usize = 16;

/// Line and column in characters, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line() as usize, column: location.column() as usize }
    }
}

/// A value and the position where it begins (for an alias: where it is used).
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// The key of a mapping's entry.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) text: String,
}

/// The value of a node in YAML's core schema.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Nothing,
    Switch(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// Returns the tree of `text`, or the problem that makes it invalid YAML.
pub(super) fn read(text: &str) -> Result<Node, SpecErrors> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a sweep file has at most {MAX_BYTES}", text.len());
        return Err(single(Position { line: 0, column: 0 }, message));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: 10_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 4,
        },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        // Kept in the tree, so that the reader of the key can report it with the key's range.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| refused(&error, text))
}

/// Returns the problem of a text that is not YAML, or not the part of YAML that sweep files use.
fn refused(error: &serde_saphyr::Error, text: &str) -> SpecErrors {
    use serde_saphyr::Error;
    let at = error.location().map_or(Position { line: 0, column: 0 }, Position::from);
    if let Some(issue) = remedy::of_refused(text, at.line) {
        return SpecErrors { issues: vec![issue], omitted: 0 };
    }
    let help = |help: &str| Some(help.to_owned());
    let (message, help) = match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the key {} is given twice", super::error::quoted(key)), None)
        }
        Error::MergeKeyNotAllowed { .. } => (
            "a sweep file has no merge keys (`<<`)".to_owned(),
            help("write out the keys of the other mapping; `*NAME` alone may stand for a whole value"),
        ),
        Error::MultipleDocuments { .. } => (
            "a second YAML document begins here".to_owned(),
            help("a file has one sweep: move the text after `---` into a file of its own"),
        ),
        Error::UnknownAnchor { .. } => (
            "the alias (`*NAME`) has no anchor".to_owned(),
            help("mark a value further up with `&NAME`, or put a text that begins with `*` in quotes"),
        ),
        Error::UnsupportedTag { tag, .. } => (
            format!("a sweep file has no tags such as {}", super::error::quoted(tag)),
            help("write the value without the tag"),
        ),
        other => {
            let message = UserMessageFormatter.format_message(other);
            let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let help = remedy::of_message(&message).map(str::to_owned);
            (message, help)
        }
    };
    let issue = Issue { line: at.line, column: at.column, path: String::new(), message, help };
    SpecErrors { issues: vec![issue], omitted: 0 }
}

fn single(at: Position, message: String) -> SpecErrors {
    let issue = Issue { line: at.line, column: at.column, path: String::new(), message, help: None };
    SpecErrors { issues: vec![issue], omitted: 0 }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced.into(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if key.value.is_empty() {
                return Err(A::Error::custom("a key is empty"));
            }
            entries.push((Key { at: key.referenced.into(), text: key.value }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
