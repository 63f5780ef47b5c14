//! The frame of a program: logs, a runtime, and an exit code that says whose fault it was.

use std::fmt;
use std::process::ExitCode;

use crate::error::Error;
use crate::telemetry::{Telemetry, TelemetryArgs};

/// The allocator of our programs. A compile is decoded into thousands of small pieces, on one thread, and
/// freed on another: the C library's takes a fifth of a gateway's time for that, this one a twentieth.
pub use mimalloc::MiMalloc as Allocator;

/// Why a program ends other than well.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for what cannot be; it names the flag.
    Configuration(String),
    /// The machine did not let us start.
    Start(String),
}

impl Failure {
    /// The command line asks for what this error says cannot be.
    #[must_use]
    pub fn configuration(error: Error) -> Self {
        Self::Configuration(error.message)
    }

    /// The machine did not let us start, as this error says.
    #[must_use]
    pub fn start(error: impl fmt::Display) -> Self {
        Self::Start(error.to_string())
    }

    /// 64 for the command line, as in `sysexits.h`; 1 for the rest.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(64),
            Self::Start(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(why) | Self::Start(why) => f.write_str(why),
        }
    }
}

/// Runs the program `name` to its end, telling of it as the flags say and with as many open files as it
/// is allowed, and says on standard error why it could not.
pub fn run(
    name: &'static str,
    telemetry: &TelemetryArgs,
    program: impl Future<Output = Result<(), Failure>>,
) -> ExitCode {
    match within(name, telemetry, program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            failure.exit_code()
        }
    }
}

fn within(
    name: &'static str,
    telemetry: &TelemetryArgs,
    program: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    crate::open_files::raise();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::start)?;
    let telemetry = {
        let _runtime = runtime.enter();
        Telemetry::start(name, telemetry).map_err(Failure::Configuration)?
    };
    let ended = runtime.block_on(program);
    telemetry.end();
    ended
}
