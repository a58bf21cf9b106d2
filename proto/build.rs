//! Compiles the .proto files with protox: no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "pretext/v1/types.proto",
        "pretext/v1/sweeps.proto",
        "pretext/v1/work.proto",
        "pretext/v1/data.proto",
        "pretext/v1/identity.proto",
        "pretext/v1/web.proto",
        "externalscaler/externalscaler.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}
