//! The flags of the examination itself; what is examined has the flags of a server.

use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

/// How to examine, and how to tell.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Examination")]
pub struct DoctorArgs {
    /// Tell it as JSON
    #[arg(long)]
    pub json: bool,
    /// How long a step may take, but for the execution
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "TIME")]
    pub patience: Duration,
    /// How long the execution may take; workers may have to be started first
    #[arg(long, default_value = "2m", value_parser = parse_duration, value_name = "TIME")]
    pub execution_patience: Duration,
}
