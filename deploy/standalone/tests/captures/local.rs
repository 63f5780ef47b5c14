//! The same compile on this machine, in a directory of the same name as the client's.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use goma_proto::api::ExecReq;

use crate::support::goma::CHUNK;

/// Compares the outputs of a compile whose result may depend on its directory. Where that cannot be
/// made, because somebody has one of that name, says so.
pub(crate) fn compare(
    case: &str,
    request: &ExecReq,
    contents: &HashMap<String, Vec<u8>>,
    outputs: &BTreeMap<String, Vec<u8>>,
) {
    let cwd = Path::new(request.cwd());
    let Some(dir) = Made::new(cwd) else {
        eprintln!("{case}: {} cannot be made, so only the exit status is compared", cwd.display());
        return;
    };
    for input in request.input.iter().filter(|input| !input.filename().starts_with('/')) {
        let path = cwd.join(input.filename());
        let contents = &contents[input.hash_key()];
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, contents).expect("written");
        let mode =
            if contents.len() > CHUNK || contents.starts_with(b"\x7fELF") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
    }
    for name in outputs.keys() {
        let parent = cwd.join(name);
        std::fs::create_dir_all(parent.parent().expect("a directory")).expect("made");
    }
    let program = cwd.join(request.command_spec.clone().unwrap_or_default().local_compiler_path());
    let mut command = Command::new(program);
    command.args(&request.arg[1..]).current_dir(cwd).env("PWD", cwd);
    let ended = command.status().expect("it runs");
    assert!(ended.success(), "{case}: {ended}");
    assert!(!outputs.is_empty(), "{case}: no outputs");
    for (name, contents) in outputs {
        let here = std::fs::read(cwd.join(name)).expect("an output");
        assert!(here == *contents, "{case}: {name} is not what a local compile makes");
    }
    drop(dir);
}

/// The topmost directory that had to be made, removed at the end.
struct Made(PathBuf);

impl Made {
    fn new(cwd: &Path) -> Option<Self> {
        let top = cwd.ancestors().take_while(|dir| !dir.exists()).last()?;
        // In one step, so that nobody else's is taken for ours.
        std::fs::create_dir(top).ok()?;
        let made = Self(top.to_owned());
        std::fs::create_dir_all(cwd).ok()?;
        Some(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
