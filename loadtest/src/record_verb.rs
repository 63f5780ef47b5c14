//! `goma-loadtest record`: a proxy that writes down what clients ask for.

use std::path::PathBuf;

use clap::Args;
use goma_loadtest::load::recording::{Contents, RecordConfig, Recorder};
use goma_loadtest::{Result, Server};

use crate::interrupt::interrupt;

/// Between whom, and where to.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Address on which clients are to ask
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    listen: String,
    /// The server that answers; paths pass unchanged
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// An empty directory, or one that will be made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Whether to keep the contents of files
    #[arg(long, value_name = "WHETHER", default_value = "keep")]
    contents: Contents,
}

/// Records until ctrl-C. No header is kept, and so no token.
///
/// # Errors
/// An address or a directory that cannot be used.
pub(crate) async fn run(args: RecordArgs) -> Result<u8> {
    let recorder = Recorder::bind(RecordConfig {
        listen: args.listen,
        upstream: Server::parse(&args.upstream)?,
        out: args.out,
        contents: args.contents,
    })
    .await?;
    eprintln!("listening on {}, until ctrl-C", recorder.address()?);
    let requests = recorder.run(interrupt()).await?;
    println!("{requests} requests passed");
    Ok(0)
}
