//! The sweep file: turns YAML text into a [`Sweep`] with every default filled in, or into all problems of the file,
//! each with its line and column.
//!
//! The text becomes a tree of nodes that know their positions (`node`). `remedy` says what to write instead of text that
//! YAML reads otherwise, and `place` finds a key again for problems that only the data show. Each section of the file has a reader
//! (`dataset`, `encoder`, `weights`, `schedule`, `training`, `axes`), which takes its keys from the tree (`field`). The
//! readers are written by hand, because derived ones stop at the first problem.

mod axes;
mod dataset;
mod encoder;
mod error;
mod field;
mod file;
#[cfg(test)]
mod mistakes;
mod node;
mod place;
mod recipes;
mod remedy;
mod schedule;
mod sweep;
#[cfg(test)]
mod tests;
mod training;
mod weights;

pub use axes::MAX_CELLS;
pub use error::{Issue, SpecErrors};
pub use node::MAX_BYTES;
pub use place::{Place, place};
pub use sweep::{
    DownstreamRecipe, Exclusion, InitialWeights, PretextData, PretextDataset, PretextRecipe, Recipe, SeedPair, Sweep,
};

/// Reads and validates the text of a sweep file.
///
/// # Errors
/// All problems of the text. If the text is not YAML, or exceeds the limits of a sweep file (1 MiB, depth 32, a few
/// aliases), there is only one problem.
pub fn parse(text: &str) -> Result<Sweep, SpecErrors> {
    file::read(text)
}
