//! What may be said of numbers that came from several seeds or several classifiers.
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
pub use summary::Summary;

/// The level of all tests, and one minus that of all intervals: 5 %.
pub const ALPHA: f64 = 0.05;
