//! The sweep file: YAML text in, a [`Sweep`] with every default filled in out, or every problem that
//! the file has, each with its line and column.
//!
//! The text becomes a tree of nodes that know their positions (`node`), and each section of the
//! file has a reader (`dataset`, `encoder`, `weights`, `schedule`, `training`, `axes`) that takes its
//! keys from the tree (`field`). Reading by hand instead of by derived structs is what lets one run
//! report all problems at once.

mod axes;
mod dataset;
mod encoder;
mod error;
mod field;
mod file;
mod node;
mod recipes;
mod schedule;
mod sweep;
#[cfg(test)]
mod tests;
mod training;
mod weights;

pub use axes::MAX_CELLS;
pub use error::{Issue, SpecErrors};
pub use node::MAX_BYTES;
pub use sweep::{
    DownstreamRecipe, Exclusion, InitialWeights, PretextData, PretextDataset, PretextRecipe, Recipe, SeedPair, Sweep,
};

/// Reads and validates the text of a sweep file.
///
/// # Errors
/// All problems that the text has. Where the text is not YAML, or is beyond the limits of a sweep
/// file (1 MiB, depth 32, a few aliases), there is one.
pub fn parse(text: &str) -> Result<Sweep, SpecErrors> {
    file::read(text)
}
