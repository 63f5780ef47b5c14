//! The program `remoteexec_proxy`: arguments, logs, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use goma_standalone::args::{Cli, Failure};
use goma_standalone::{go_flags, proxy};

fn main() -> ExitCode {
    let cli = Cli::parse_from(go_flags::respell(std::env::args()));
    let ended =
        goma_common::telemetry::init(&cli.log).map_err(Failure::Configuration).and_then(|()| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::Start(error.to_string()))?;
            runtime.block_on(proxy::run(cli))
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("remoteexec_proxy: {failure}");
            failure.exit_code()
        }
    }
}
