//! The coordinator: takes sweeps, grants stages to workers under leases, stores their results, and prints the table. It
//! does not depend on burn.

pub mod artifacts;
pub mod backup;
pub mod build;
pub mod cli;
pub mod core;
pub mod engine;
mod entrance;
pub mod exposure;
pub mod gc;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod report;
pub mod scaler;
pub mod serve;
pub mod standby;
pub mod store;
pub mod submission;
pub mod turn;
pub mod verify;
pub mod view;
