//! Conversions of messages to domain types and back: pure functions that accept every input. A message is converted, or
//! refused with a short, printable reason. `tests/fast/tests/conversions` lists all messages and checks each of them.

mod sweeps;
mod work;

use std::fmt::Display;
use std::str::FromStr;

use pretext_proto::refusal::{self, Kind};
use tonic::{Code, Status};

pub use sweeps::{collected, counts, summary, watch_event, worker_summary};
pub use work::{
    attempt, attempt_message, claim, claim_message, dataset, dataset_message, directive, failure, grant_message, held,
    offer, point, result, worker, worker_message,
};

/// Most characters of foreign text that a message repeats.
const LONGEST: usize = 200;
/// Most characters of a refusal that contains foreign text.
const LONGEST_REFUSAL: usize = 1000;

/// Returns foreign text as a message repeats it: shortened, and without terminal control sequences.
pub fn shown(text: &str) -> String {
    cut(text, LONGEST)
}

/// Returns the text of a refusal that may contain foreign text.
pub fn words(refusal: &impl Display) -> String {
    cut(&refusal.to_string(), LONGEST_REFUSAL)
}

/// Returns the status of a request with a defect.
pub fn invalid(message: impl Into<String>) -> Status {
    refusal::status(Code::InvalidArgument, Kind::Invalid, message)
}

fn cut(text: &str, longest: usize) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(longest).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Returns a field that must be present.
///
/// # Errors
/// If the field is missing.
pub fn required<T>(field: Option<T>, name: &str) -> Result<T, Status> {
    field.ok_or_else(|| invalid(format!("`{name}` is missing")))
}

/// Parses a field.
///
/// # Errors
/// If the field cannot be parsed.
pub fn parsed<T: FromStr>(text: &str, name: &str) -> Result<T, Status>
where
    T::Err: Display,
{
    let refused = |error: T::Err| invalid(format!("`{name}`: {}", shown(&error.to_string())));
    text.parse().map_err(refused)
}
