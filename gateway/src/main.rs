//! The program `goma-gateway`.

use std::process::ExitCode;

use goma_gateway::{Cli, run};

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

fn main() -> ExitCode {
    let cli = Cli::of_process();
    let telemetry = cli.telemetry.clone();
    goma_common::program::run("goma-gateway", &telemetry, run(cli))
}
