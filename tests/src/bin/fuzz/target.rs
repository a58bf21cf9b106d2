//! The interface of a fuzz target.

/// What happened to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The input was accepted.
    Taken,
    /// The input was refused with a reason.
    Refused,
}

/// A reader of data from outside.
pub(crate) trait Target {
    /// Returns the name, as the table shows it.
    fn name(&self) -> &'static str;

    /// Returns whole, valid inputs.
    fn corpus(&self) -> Vec<Vec<u8>>;

    /// Returns words of the input's language.
    fn words(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Returns the limit of bytes that one input may have allocated at a time, without the input itself.
    fn bound(&self) -> usize;

    /// Returns the number of inputs after which the target is made anew, because it keeps state of earlier inputs.
    fn life(&self) -> u64 {
        u64::MAX
    }

    /// Returns whether the target catches a library's panic and turns it into a refusal.
    fn catches_panics(&self) -> bool {
        false
    }

    /// Feeds `input`.
    ///
    /// # Errors
    /// The violation.
    fn feed(&mut self, input: &[u8]) -> Result<Fate, String>;
}
