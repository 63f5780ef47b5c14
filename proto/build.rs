//! Compiles our `.proto` files without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["goma/api.proto", "goma/shard/v1/shard.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure()
        // Contents pass from the request's buffer to the CAS without being copied.
        .bytes(".")
        .extern_path(".google.protobuf.Timestamp", "::prost_types::Timestamp")
        .compile_fds(descriptors)?;
    Ok(())
}
