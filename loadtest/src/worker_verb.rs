//! `goma-loadtest worker`: how the workers behind a server differ from this machine.

use clap::Args;
use goma_loadtest::{Client, Result, worker};

use crate::args::ServerArgs;

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Compilers of this machine, by name or path
    #[arg(default_values = ["gcc", "g++"], value_name = "COMPILER")]
    compilers: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints it; 1 where there is a difference. It is of the one worker that was given the question.
///
/// # Errors
/// A compiler that is not here, or as the server answers.
pub(crate) async fn run(args: WorkerArgs) -> Result<u8> {
    let client = Client::new(args.server.config()?);
    let difference = worker::compare(&client, args.compilers).await?;
    match args.json {
        true => crate::print_json(&difference)?,
        false => print!("{difference}"),
    }
    Ok(u8::from(!difference.is_none()))
}
