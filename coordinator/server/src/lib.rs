//! A coordinator that serves: the core thread around the engine, and gRPC, the web page and metrics around the core.

pub mod authorization;
mod clearing;
pub mod core;
mod estimate;
mod frontend;
pub mod gc;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod leadership;
pub mod listen;
pub mod metrics;
pub mod on_final;
pub mod scaler;
pub mod serve;
pub mod standby;
pub mod start;
mod waiters;
