//! The program `goma-shard`.

use std::process::ExitCode;

use goma_shard::{Cli, run};

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

fn main() -> ExitCode {
    let cli = Cli::of_process();
    let telemetry = cli.telemetry.clone();
    goma_common::program::run("goma-shard", &telemetry, run(cli))
}
