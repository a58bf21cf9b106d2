//! The coordinator: takes sweeps, grants stages to workers under leases, keeps what they report, and
//! prints the table. It knows nothing of burn.

pub mod artifacts;
pub mod backup;
pub mod cli;
pub mod core;
pub mod engine;
pub mod grpc;
pub mod report;
pub mod serve;
pub mod store;
pub mod submission;
pub mod verify;
