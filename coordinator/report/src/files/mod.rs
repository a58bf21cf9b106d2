//! The files of a report folder for scripts, and the folder itself.

pub mod attachments;
pub mod curves;
pub mod evaluation;
pub mod events;
pub mod folder;
pub mod parquet;
pub mod points;
pub mod results;
pub mod ro_crate;
pub mod write;
