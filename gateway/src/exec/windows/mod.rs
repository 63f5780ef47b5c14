//! A Windows client's compile as one of a Linux worker: names with slashes, drives as directories,
//! and back. Pure.
//!
//! Absolute names become ways from the current directory over the one that holds the drives
//! ([`crate::windows_path`]), so that nothing depends on where a worker lays the inputs out. The
//! compiler is told to write the client's names for them. [`command`] does so with the command line,
//! [`variables`] with the environment; [`defaults`] adds what a client's compiler knows by itself.
//! [`spellings`] is about names that differ in case, [`told`] about what the compiler prints.

mod command;
mod defaults;
mod spellings;
mod told;
mod variables;

use std::collections::HashMap;

use super::job::{Input, Job};
use crate::command::{self as line, Family, Token};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};
use crate::windows_path::{DRIVES, WindowsDir};
use command::Commands;
use spellings::Spellings;
pub(super) use told::{WindowsTold, not_found};

/// Names of files and directories in one compile; inputs and what they lie in are the most of them.
const MAX_NAMES: usize = 500_000;

/// What is known of a Windows client's compile beside that of others.
#[derive(Debug)]
pub(crate) struct Windows {
    dir: WindowsDir,
    /// Whether a way leads over the directory of the drives.
    absolute: bool,
    spellings: Spellings,
    /// Other spellings of names, as links to the one that stands there.
    pub(super) links: Vec<(AbsPath, String)>,
}

impl Windows {
    /// A directory that the input root must hold, if there is one.
    pub(super) fn top(&self) -> Option<AbsPath> {
        let links = self.links.iter().map(|(link, _)| link.parent());
        let drives = self.absolute.then(|| AbsPath::parse(DRIVES).ok()).flatten();
        drives.into_iter().chain(links).reduce(|one, other| one.common(&other))
    }

    /// A path as it stands in the input root.
    pub(super) fn spelled(&self, path: AbsPath) -> AbsPath {
        self.spellings.canonical(path)
    }

    /// What is to be told by the client's names.
    pub(super) fn told(&self) -> WindowsTold {
        WindowsTold::new(self.dir.clone())
    }
}

/// Makes a job of which the names are read, and the command line is not, one of a Linux worker.
///
/// # Errors
/// [`Refusal::Impossible`] naming what no Linux worker can do.
pub(super) fn translate(job: &mut Job, cwd: &str, dir: WindowsDir) -> Result<(), Refusal> {
    if job.reading.family != Family::ClangCl {
        return impossible(format!(
            "compiler {:?} of a Windows client is not served; clang-cl is",
            job.compiler.name
        ));
    }
    // Programs for Windows, which no worker runs.
    job.toolchain = None;
    let commands = Commands { job, cwd, dir: &dir };
    let (args, env) = (commands.arguments()?, commands.environment()?);
    let tokens = job.reading.parse(&args);
    let to_drives = dir.to_drives();
    let absolute = args.iter().chain(env.iter().map(|(_, value)| value));
    let absolute = absolute.into_iter().any(|text| text.contains(&to_drives));
    job.args.clone_from(&args);
    job.expanded_args = args;
    job.env = env;
    job.compiler.system_include.clear();

    let spellings = spellings(job, &tokens)?;
    job.tokens = tokens;
    job.cwd = spellings.canonical(job.cwd.clone());
    for input in &mut job.inputs {
        input.path = spellings.canonical(input.path.clone());
        let through = std::mem::take(&mut input.through);
        input.through = through.into_iter().map(|dir| spellings.canonical(dir)).collect();
    }
    for output in job.outputs.iter_mut().chain(&mut job.output_dirs) {
        output.path = spellings.canonical(output.path.clone());
    }
    job.exec_root = job.exec_root.take().map(|root| spellings.canonical(root));
    contradictions(&job.inputs)?;
    let links = spellings.links();
    job.windows = Some(Box::new(Windows { dir, absolute, spellings, links }));
    Ok(())
}

/// All spellings by which the compile names something.
fn spellings(job: &Job, tokens: &[Token]) -> Result<Spellings, Refusal> {
    let mut spellings = Spellings::default();
    spellings.there(&job.cwd);
    for input in &job.inputs {
        spellings.there(&input.path);
        input.through.iter().for_each(|dir| spellings.there(dir));
    }
    job.outputs.iter().for_each(|output| spellings.there(&output.path));
    let operands = tokens.iter().filter_map(|token| match token {
        Token::Operand(name) => Some(name.as_str()),
        token => token.path().map(|(_, value)| value),
    });
    let dirs = job.env.iter().filter(|(name, _)| line::is_list(name));
    let dirs = dirs.flat_map(|(_, value)| value.split(';'));
    for name in operands.chain(dirs) {
        if let Ok(walked) = job.cwd.walk(name) {
            spellings.named(&walked.path);
        }
        if spellings.count() > MAX_NAMES {
            return impossible(format!(
                "more than {MAX_NAMES} names are more than can be compared"
            ));
        }
    }
    Ok(spellings)
}

/// What is one file on Windows must have one contents.
fn contradictions(inputs: &[Input]) -> Result<(), Refusal> {
    let mut known: HashMap<&AbsPath, &Input> = HashMap::with_capacity(inputs.len());
    for input in inputs {
        let first = *known.entry(&input.path).or_insert(input);
        if first.key != input.key {
            // In one order, whatever that of the request.
            let (one, other) = ((&*first.name).min(&*input.name), (&*first.name).max(&*input.name));
            return impossible(format!(
                "{one:?} and {other:?} are one file on Windows and have two different contents"
            ));
        }
    }
    Ok(())
}
