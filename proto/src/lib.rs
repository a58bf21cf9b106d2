//! The wire: generated code of `pretext/v1/*.proto` and of the autoscaler's interface, and nothing else but its version and descriptors.

/// The protocol that this build speaks. Raised when a message changes its meaning; worker and
/// coordinator refuse each other in words when theirs differ.
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
