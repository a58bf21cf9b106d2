//! Statistics of numbers that come from several seeds or several classifiers.
//!
//! Everything here is a pure function of its arguments; the one that draws (the bootstrap) draws from
//! counters. Distributions are [`statrs`]'s; the tests hold every function against scipy and statsmodels.

pub mod bootstrap;
pub mod mcnemar;
pub mod multiple;
pub mod paired;
pub mod proportion;
pub mod summary;

pub use mcnemar::McNemar;
pub use paired::Paired;
pub use summary::{ALPHA, Summary};
