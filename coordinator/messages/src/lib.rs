//! Messages to domain types and back: pure functions, each total. Whatever comes is taken or refused with a reason that is
//! short and fit to be printed. `tests/tests/conversions` has the list of all messages and holds each to that.

mod sweeps;
mod work;

use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;

pub use sweeps::{collected, counts, summary, watch_event, worker_summary};
pub use work::{
    attempt, attempt_message, dataset, dataset_message, directive, failure, grant_message, held, offer, point, result,
    worker, worker_message,
};

/// Characters of what came from outside that a message repeats.
const LONGEST: usize = 200;
/// Characters of a refusal that repeats some of it among words of its own.
const LONGEST_REFUSAL: usize = 1000;

/// What came from outside as a message repeats it: not long, nothing that a terminal would obey.
pub fn shown(text: &str) -> String {
    cut(text, LONGEST)
}

/// A refusal's words, some of which came from outside.
pub fn words(refusal: &impl Display) -> String {
    cut(&refusal.to_string(), LONGEST_REFUSAL)
}

fn cut(text: &str, longest: usize) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(longest).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A field that must be there.
///
/// # Errors
/// When it is not.
pub fn required<T>(field: Option<T>, name: &str) -> Result<T, Status> {
    field.ok_or_else(|| Status::invalid_argument(format!("`{name}` is missing")))
}

/// A field that must parse.
///
/// # Errors
/// When it does not.
pub fn parsed<T: FromStr>(text: &str, name: &str) -> Result<T, Status>
where
    T::Err: Display,
{
    let refused = |error: T::Err| Status::invalid_argument(format!("`{name}`: {}", shown(&error.to_string())));
    text.parse().map_err(refused)
}
