//! What is fed.

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was good.
    Taken,
    /// It was refused with a reason.
    Refused,
}

/// A reader of what comes from outside.
pub(crate) trait Target {
    /// In words.
    fn name(&self) -> &'static str;

    /// Whole, valid inputs.
    fn corpus(&self) -> Vec<Vec<u8>>;

    /// Words of its language.
    fn words(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Bytes that one input may have allocated at a time, its own not counted.
    fn bound(&self) -> usize;

    /// Inputs after which it is made anew: what it keeps is of those before.
    fn life(&self) -> u64 {
        u64::MAX
    }

    /// Whether a panic of a library is caught within it and becomes a refusal.
    fn catches_panics(&self) -> bool {
        false
    }

    /// Feeds `input`.
    ///
    /// # Errors
    /// What should not have happened.
    fn feed(&mut self, input: &[u8]) -> Result<Fate, String>;
}
