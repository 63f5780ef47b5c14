//! The program `goma-shard`.

use std::process::ExitCode;

use clap::Parser;
use goma_shard::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = cli.log.clone();
    goma_common::program::run("goma-shard", &filter, run(cli))
}
