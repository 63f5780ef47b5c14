//! The program `goma-shard`.

use std::process::ExitCode;

use goma_shard::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::of_process();
    let telemetry = cli.telemetry.clone();
    goma_common::program::run("goma-shard", &telemetry, run(cli))
}
