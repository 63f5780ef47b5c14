//! An action ready to run: checked, its inputs held and staged in a directory of its own.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::{self, Action, ActionResult};

use super::absolute_root;
use super::collect;
use super::input_tree::{self, Dir};
use super::invocation::Invocation;
use super::outputs::Outputs;
use super::pins::Pins;
use super::read_only;
use super::rpc_status;
use super::run_dir::RunDir;
use super::sandbox::Sandbox;
use super::stage;
use super::store::{Store, io_error};

/// Commands and directories larger than this are nothing a compile needs.
const MAX_MESSAGE: u64 = 32 << 20;

/// An action ready to run. Dropping it deletes its directory, which blocks.
pub(super) struct Prepared {
    pub(super) invocation: Invocation,
    pub(super) limit: Duration,
    outputs: Outputs,
    place: Option<(Arc<Sandbox>, PathBuf)>,
    read_only: Vec<PathBuf>,
    run: RunDir,
    _pins: Pins,
}

impl Prepared {
    /// Checks and stages.
    ///
    /// # Errors
    /// `MissingBlobs` naming all of the closure that are missing; `InvalidArgument` for what cannot be.
    pub(super) fn new(
        store: &Arc<Store>,
        action: &Action,
        sandbox: &Result<Arc<Sandbox>, String>,
        default_limit: Duration,
    ) -> Result<Self> {
        let limit = limit(action, default_limit)?;
        let mut pins = Pins::new(store);
        let (command, mut root) = load(store, action, &mut pins)?;
        let invocation = Invocation::parse(&command)?;
        let outputs = Outputs::parse(&command)?;
        outputs.prepare(&command, &mut root)?;
        let place = place(action, &command, sandbox)?;
        let read_only = match &place {
            Some(_) => read_only::choose(&mut root),
            None => Vec::new(),
        };
        let read_only = read_only.into_iter().map(|path| path.into_iter().collect()).collect();
        let run = RunDir::create(&store.run_path());
        let run = run.map_err(|error| io_error("create a directory to run in", &error))?;
        stage::stage(store, &mut pins, &root, &run.root())?;
        Ok(Self { invocation, limit, outputs, place, read_only, run, _pins: pins })
    }

    /// The process to start.
    pub(super) fn command(&self) -> Command {
        match &self.place {
            Some((sandbox, root)) => {
                self.invocation.sandboxed(sandbox, &self.run, root, &self.read_only)
            }
            None => self.invocation.plain(&self.run),
        }
    }

    /// Why nothing ran. Without a sandbox it may be for want of the program itself.
    pub(super) fn start_error(&self, error: &io::Error) -> Error {
        use io::ErrorKind::{ArgumentListTooLong, NotFound, PermissionDenied};
        let kinds = [ArgumentListTooLong, NotFound, PermissionDenied];
        if self.place.is_none() && kinds.contains(&error.kind()) {
            return self.invocation.not_started(error);
        }
        io_error("start a process", error)
    }

    /// Stores the outputs and names them in `result`.
    pub(super) fn collect(&self, store: &Arc<Store>, result: &mut ActionResult) -> Result<()> {
        collect::collect(store, &self.run.root(), &self.outputs, result)
    }
}

/// Reads the command and the input root, and holds all blobs of it.
fn load(store: &Arc<Store>, action: &Action, pins: &mut Pins) -> Result<(reapi::Command, Dir)> {
    let command_digest = rpc_status::digest(action.command_digest.as_ref(), "command")?;
    let root_digest = rpc_status::digest(action.input_root_digest.as_ref(), "input root")?;
    let fetch = |digest: Digest| match store.read_blob(digest, MAX_MESSAGE) {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let command = fetch(command_digest)?;
    let (root, mut missing) = input_tree::load(root_digest, fetch)?;
    let mut files = std::collections::BTreeSet::new();
    root.collect_files(&mut files);
    missing.extend(pins.add_blobs(files));
    match command {
        Some(command) if missing.is_empty() => Ok((rpc_status::decode("command", &command)?, root)),
        command => {
            if command.is_none() {
                missing.insert(command_digest);
            }
            Err(rpc_status::missing(missing.into_iter().collect()))
        }
    }
}

/// The sandbox, if there is one, and where in it the input root is to be.
fn place(
    action: &Action,
    command: &reapi::Command,
    sandbox: &Result<Arc<Sandbox>, String>,
) -> Result<Option<(Arc<Sandbox>, PathBuf)>> {
    match (sandbox, absolute_root::wanted(action, command)) {
        (Ok(sandbox), Some(path)) => {
            let path = absolute_root::check(path, &sandbox.host_dirs)?;
            Ok(Some((Arc::clone(sandbox), path)))
        }
        (Ok(sandbox), None) => Ok(Some((Arc::clone(sandbox), absolute_root::DEFAULT.into()))),
        (Err(_), None) => Ok(None),
        (Err(why), Some(_)) => {
            let message =
                format!("InputRootAbsolutePath needs a sandbox, and there is none: {why}");
            // FAILED_PRECONDITION without naming a blob: there is nothing to upload.
            Err(Error::new(Code::MissingBlobs, message))
        }
    }
}

fn limit(action: &Action, default: Duration) -> Result<Duration> {
    let Some(timeout) = &action.timeout else { return Ok(default) };
    let (seconds, nanos) = (u64::try_from(timeout.seconds), u32::try_from(timeout.nanos));
    match (seconds, nanos) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(Error::new(Code::InvalidArgument, "a negative timeout")),
    }
}
