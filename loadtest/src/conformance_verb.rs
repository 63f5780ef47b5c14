//! `goma-loadtest conformance`: what a Remote Execution server can do.

use std::time::Duration;

use clap::Args;
use goma_common::remote_args::RemoteArgs;
use goma_loadtest::conformance;
use goma_loadtest::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Which server, and how to tell.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// A platform property of its actions, NAME=VALUE; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    platform_property: Vec<(String, String)>,
    /// How long one check may take
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "TIME")]
    patience: Duration,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Asks it; the exit code is 1 where a Goma server cannot use it.
///
/// # Errors
/// When the flags cannot be meant, or the server cannot be reached at all.
pub(crate) async fn run(args: ConformanceArgs) -> Result<u8> {
    let wrong = |error: goma_common::Error| Error::Member {
        name: "conformance".to_owned(),
        reason: error.to_string(),
    };
    let config = args.remote.config().map_err(wrong)?;
    let bar = ProgressBar::new(conformance::count() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = conformance::run(&config, args.platform_property, args.patience, |row| {
        bar.set_message(row.name);
        bar.inc(1);
    });
    let report = report.await.map_err(wrong)?;
    bar.finish_and_clear();
    if args.json {
        crate::print_json(&report)?;
    } else {
        print!("{}", report.table());
    }
    Ok(u8::from(!report.is_usable()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
