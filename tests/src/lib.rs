//! Shared parts of the end-to-end tests: the real programs as processes that end with the test, and folders of
//! pictures. Tests wait for conditions, never for a fixed time.

pub mod browser;
pub mod installed;
pub mod members;
pub mod pictures;
pub mod processes;
pub mod redis;
pub mod relay;
pub mod s3;
pub mod stub;
pub mod turn;

pub use processes::{Daemon, Output, Scratch, Server, coordinator, until};
pub use redis::Redis;
