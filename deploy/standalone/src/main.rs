//! The program `remoteexec_proxy`.

use std::process::ExitCode;

use goma_standalone::args::Cli;
use goma_standalone::{go_flags, proxy};

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

fn main() -> ExitCode {
    let cli = Cli::of(go_flags::respell(std::env::args()));
    let telemetry = cli.telemetry.clone();
    goma_common::program::run("remoteexec_proxy", &telemetry, proxy::run(cli))
}
