//! The network protocol: code generated from `pretext/v1/*.proto` and from the autoscaler's interface, with the
//! protocol's version and descriptors.

pub mod refusal;

/// The version of the protocol in this build. Raised when a message changes its meaning. If the versions of worker and
/// coordinator differ, they refuse each other with a readable message.
pub const PROTOCOL: u32 = 2;

/// How every refusal of a coordinator that does not lead begins.
pub const STANDS_BY: &str = "this coordinator stands by";

/// The refusal of a coordinator that ends.
pub const SHUTTING_DOWN: &str = "the coordinator is shutting down";

/// Package `pretext.v1`. The comments of the .proto files are the documentation.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    tonic::include_proto!("pretext.v1");
}

/// KEDA's package `externalscaler`: its name is KEDA's, not ours.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod externalscaler {
    tonic::include_proto!("externalscaler");
}

/// The encoded descriptor set, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
