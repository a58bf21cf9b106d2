//! What a command found out about the cells it was for. The exit code follows from it.

/// The outcome of the cells of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All cells are good, or the command was not about cells.
    Good,
    /// Some cell failed, was cancelled, or differs from the record.
    SomeFailed,
}

impl Verdict {
    /// Returns the exit code of the program.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Verdict::Good => 0,
            Verdict::SomeFailed => 1,
        }
    }
}
