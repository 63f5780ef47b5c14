//! Compiles our `.proto` files without a `protoc` on the machine.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (wire, config) = (["goma/api.proto", "goma/shard/v1/shard.proto"], ["goma/config.proto"]);
    for file in wire.iter().chain(&config) {
        println!("cargo:rerun-if-changed={file}");
    }
    tonic_prost_build::configure()
        // Contents pass from the request's buffer to the CAS without being copied.
        .bytes(".")
        .extern_path(".google.protobuf.Timestamp", "::prost_types::Timestamp")
        .compile_fds(protox::compile(wire, ["."])?)?;

    // The operator's files are text, which is read by what is written down here of its messages.
    let described = protox::compile(config, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("config.bin"), described.encode_to_vec())?;
    let mut generated = tonic_prost_build::Config::new();
    generated.enable_type_names();
    tonic_prost_build::configure().compile_fds_with_config(described, generated)?;
    Ok(())
}
