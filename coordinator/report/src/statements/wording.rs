//! The text of a statement, without markup. Renderers escape and lay them out.

use std::fmt;

/// The text of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// The subject, in a few words.
    pub subject: &'static str,
    /// The result, in one sentence.
    pub verdict: String,
    /// Conditions of the result, a sentence each.
    pub conditions: Vec<String>,
}

impl Wording {
    /// Returns a statement without conditions.
    pub(super) fn of(subject: &'static str, verdict: impl Into<String>) -> Self {
        Self { subject, verdict: verdict.into(), conditions: Vec::new() }
    }

    /// Adds a condition.
    pub(super) fn on_condition(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(condition.into());
        self
    }

    /// Adds a condition, if there is one.
    pub(super) fn on_any(mut self, condition: Option<impl Into<String>>) -> Self {
        self.conditions.extend(condition.map(Into::into));
        self
    }

    /// Returns the text after the subject.
    pub fn body(&self) -> String {
        std::iter::once(&self.verdict).chain(&self.conditions).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.body())
    }
}
