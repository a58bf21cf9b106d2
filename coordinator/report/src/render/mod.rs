//! One renderer per format. Each walks a document once and computes nothing.

pub mod html;
pub mod latex;
pub mod markdown;
pub mod terminal;

#[cfg(test)]
mod tests;
