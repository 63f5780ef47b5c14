//! The program `goma-shard`.

use std::process::ExitCode;

use goma_shard::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::of_process();
    let filter = cli.log.clone();
    goma_common::program::run("goma-shard", &filter, run(cli))
}
