//! What the end-to-end tests share: the real programs as processes that end with the test, and folders
//! of pictures. Tests wait on conditions, never for a time.

pub mod browser;
pub mod members;
pub mod pictures;
pub mod processes;
pub mod python;
pub mod redis;
pub mod relay;
pub mod s3;
pub mod simulation;
pub mod stub;

pub use processes::{Daemon, Output, Scratch, Server, coordinator, until};
pub use redis::Redis;
