//! `goma-loadtest token-service`: refreshable tokens for a stock client without a provider.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use goma_loadtest::token_service::TokenService;
use goma_loadtest::{Error, Result};

/// Which tokens, and who is to find them.
#[derive(Debug, Args)]
pub(crate) struct TokenServiceArgs {
    /// File with the token, read each time that it is asked for [default: one that says nothing]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where to write what LUCI_CONTEXT names [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    /// Port on loopback [default: any that is free]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "PORT")]
    port: u16,
    /// A command that is run with LUCI_CONTEXT set; the service ends with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Serves for as long as the command runs, or until it is interrupted; the exit code is the command's.
///
/// # Errors
/// When the port is taken, the file cannot be written or the command cannot be run.
pub(crate) async fn run(args: TokenServiceArgs) -> Result<u8> {
    let service = TokenService::start(args.port, args.token_file).await?;
    let dir = tempfile::tempdir().map_err(|source| Error::File { path: "/tmp".into(), source })?;
    let context = args.context.unwrap_or_else(|| dir.path().join("luci-context.json"));
    write(&context, &service.context())
        .map_err(|source| Error::File { path: context.clone(), source })?;
    let Some((program, words)) = args.command.split_first() else {
        println!("export LUCI_CONTEXT={}", context.display());
        let ended = tokio::signal::ctrl_c().await;
        ended.map_err(|source| Error::File { path: "signals".into(), source })?;
        return Ok(0);
    };
    let status = tokio::process::Command::new(program)
        .args(words)
        .env("LUCI_CONTEXT", &context)
        .status()
        .await
        .map_err(|source| Error::File { path: program.into(), source })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// For its owner alone.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}
