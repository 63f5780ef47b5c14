//! Commands in a `bwrap` sandbox: the system's directories to read, the input root to write, no more.
//!
//! The process has no network, no other processes, no capability, and dies with us.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::run_dir::RunDir;

/// Starts the command with exactly its own environment: bwrap itself adds `PWD`.
pub(super) const ENV: &str = "/usr/bin/env";

/// Directories of the machine that compilers live in or need; links are shown as links.
const SHOWN: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
];

/// How to make a sandbox on this machine.
#[derive(Debug)]
pub(super) struct Sandbox {
    bwrap: PathBuf,
    arguments: Vec<OsString>,
    pub(super) host_dirs: Vec<PathBuf>,
}

impl Sandbox {
    /// Tries one with a trivial command; `scratch` is an empty directory for it.
    ///
    /// # Errors
    /// Why this machine has none, in words.
    pub(super) fn probe(host_dirs: &[PathBuf], scratch: &Path) -> Result<Self, String> {
        let bwrap = find_bwrap().ok_or("bwrap (package bubblewrap) is not in PATH")?;
        let host_dirs = host_dirs.to_vec();
        let sandbox = Self { bwrap, arguments: arguments(), host_dirs };
        let run =
            RunDir::create(scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        let root = Path::new(super::absolute_root::DEFAULT);
        fs::create_dir(run.root()).map_err(|error| error.to_string())?;
        let mut command = sandbox.command(&run, root, &[], root);
        let output = command.args([ENV, "-i", "true"]).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", sandbox.bwrap.display()))?;
        if output.status.success() {
            return Ok(sandbox);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("bwrap failed: {}", words.trim()))
    }

    /// The start of a command line: the tree of `run` is at `root`, its subtrees `read_only` cannot be
    /// written, and the working directory is `cwd`. The caller appends what to run.
    pub(super) fn command(
        &self,
        run: &RunDir,
        root: &Path,
        read_only: &[PathBuf],
        cwd: &Path,
    ) -> Command {
        let mut command = Command::new(&self.bwrap);
        command.env_clear().args(&self.arguments);
        command.arg("--bind").arg(run.tmp()).arg("/tmp");
        // After /tmp, where some of them may be.
        for dir in &self.host_dirs {
            command.arg("--ro-bind").arg(dir).arg(dir);
        }
        command.arg("--bind").arg(run.root()).arg(root);
        for path in read_only {
            command.arg("--ro-bind").arg(run.root().join(path)).arg(root.join(path));
        }
        command.arg("--chdir").arg(cwd).arg("--");
        command
    }
}

fn find_bwrap() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    let is_program = |path: &PathBuf| {
        let metadata = fs::metadata(path);
        metadata.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    dirs.map(|dir| dir.join("bwrap")).find(is_program)
}

/// What all sandboxes have in common.
fn arguments() -> Vec<OsString> {
    let flags = "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts \
                 --hostname goma --die-with-parent --new-session --cap-drop ALL";
    let mut arguments: Vec<OsString> = flags.split_whitespace().map(OsString::from).collect();
    for path in SHOWN.into_iter().map(PathBuf::from).chain(java_settings()) {
        match (fs::read_link(&path), path.exists()) {
            (Ok(target), _) => arguments.extend(["--symlink".into(), target.into(), path.into()]),
            (_, true) => arguments.extend(["--ro-bind".into(), path.clone().into(), path.into()]),
            _ => {}
        }
    }
    arguments.extend(["--proc", "/proc", "--dev", "/dev"].map(OsString::from));
    arguments
}

/// Debian's javac reads its settings through links from `/usr/lib/jvm` to here.
fn java_settings() -> Vec<PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let is_java = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("java-") && path.is_dir()
    };
    entries.map(|entry| entry.path()).filter(is_java).collect()
}
