//! The platform property `InputRootAbsolutePath`: where in the sandbox the input root is to be.

use std::path::{Path, PathBuf};

use goma_common::{Code, Error, Result};
use goma_proto::reapi::{Action, Command};

use super::rel_path;

/// Where the input root is when nothing else is asked for: the same for all, so that results do not
/// depend on where this backend keeps its files.
pub(super) const DEFAULT: &str = "/goma/root";

/// What a sandbox shows of the machine, or makes up; nothing may be put over it.
const SYSTEM: [&str; 11] = [
    "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr",
];

/// The path that is asked for, if one is.
#[allow(deprecated, reason = "older clients put the platform into the command")]
pub(super) fn wanted<'a>(action: &'a Action, command: &'a Command) -> Option<&'a str> {
    // From API 2.2 on the action's platform is the one that counts.
    let platform = action.platform.as_ref().or(command.platform.as_ref())?;
    let mut properties = platform.properties.iter();
    let property = properties.find(|property| property.name == "InputRootAbsolutePath")?;
    Some(&property.value)
}

/// Checks that the input root can be there, beside the system's directories and `host_dirs`.
///
/// # Errors
/// `InvalidArgument` that says why not.
pub(super) fn check(path: &str, host_dirs: &[PathBuf]) -> Result<PathBuf> {
    let refuse = |why: &str| {
        let message = format!("InputRootAbsolutePath {path:?} {why}");
        Err(Error::new(Code::InvalidArgument, message))
    };
    let Some(below) = path.strip_prefix('/') else { return refuse("is not absolute") };
    if below.split('/').any(|part| rel_path::name("part", part).is_err()) {
        return refuse("is not normalised");
    }
    let root = Path::new(path);
    let hosts = host_dirs.iter().map(PathBuf::as_path);
    for system in SYSTEM.into_iter().map(Path::new).chain(hosts) {
        if root.starts_with(system) || system.starts_with(root) {
            return refuse("covers a directory of the system");
        }
    }
    Ok(root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_directories_are_fine() {
        for path in ["/home/u/proj", "/tmp/x", "/src", "/usr2/x"] {
            assert!(check(path, &[]).is_ok(), "{path}");
        }
    }

    #[test]
    fn system_directories_and_odd_paths_are_refused() {
        let odd = ["/", "", "rel", "/a/../b", "/a//b", "/a/", "/a/./b", "/a/."];
        for path in odd.into_iter().chain(["/usr", "/usr/src/x", "/etc", "/lib64", "/opt/gcc/x"]) {
            assert!(check(path, &["/opt/gcc".into()]).is_err(), "{path}");
        }
        assert!(check("/opt", &["/opt/gcc".into()]).is_err(), "it would cover /opt/gcc");
    }
}
