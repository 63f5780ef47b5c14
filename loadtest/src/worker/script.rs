//! The script that looks at a machine: a fact a line, name, tab, value; then a hash and a path a file.

use std::collections::BTreeSet;
use std::path::Path;

use crate::client::compiler_of;
use crate::error::{Error, Result};

/// Whatever the compilers are. The output is the fourth argument, as a compiler's.
const HEAD: &str = "#!/bin/sh\nLC_ALL=C; export LC_ALL\nexec > \"$4\" 2>/dev/null\n\
    say() { printf 'fact\\t%s\\t%s\\n' \"$1\" \"$2\"; }\n\
    has() { if \"$@\"; then echo yes; else echo no; fi; }\n\
    hash() { sha256sum < \"$1\" | cut -d' ' -f1; }\n\
    first() { \"$@\" 2>&1 | head -n1; }\n\
    say system \"$(uname -sm)\"\n\
    say 'C library' \"$(first getconf GNU_LIBC_VERSION)\"\n\
    say '/proc/self/cwd' \"$(has test /proc/self/cwd -ef .)\"\n\
    say 'env --chdir' \"$(has /usr/bin/env --chdir=/ true)\"\n\
    say sha256sum \"$(has test -n \"$(hash /dev/null)\")\"\n";

/// Asks a compiler about itself and for the programs that it runs, which no client sends along.
const COMPILER: &str = "c=@\nif test -x \"$c\"; then\n\
    say \"$c\" \"$(hash \"$c\")\"\n\
    say \"$c version\" \"$(first \"$c\" --version)\"\n\
    say \"$c target\" \"$(first \"$c\" -dumpmachine)\"\n\
    for p in cc1 cc1plus as; do\n\
    f=$(\"$c\" -print-prog-name=$p)\n\
    case $f in /*) ;; *) f=$(command -v \"$f\") ;; esac\n\
    if test -n \"$f\" && test -f \"$f\"; then say \"$c $p\" \"$(hash \"$f\")\"; else say \"$c $p\" none; fi\n\
    done\nelse\nsay \"$c\" none\nfi\n";

/// For these compilers, with the directories in which they look for headers here.
///
/// # Errors
/// Naming the compiler that is not here, or is none.
pub(super) fn write(compilers: &[String]) -> Result<String> {
    let mut script = HEAD.to_owned();
    let mut dirs = BTreeSet::new();
    for name in compilers {
        let (path, include) = compiler_of(name)?;
        script += &COMPILER.replace('@', &quoted(&path)?);
        dirs.extend(include);
    }
    for dir in outermost(&dirs) {
        let find = format!("find -L {} -type f -exec sha256sum {{}} +\n", quoted(dir)?);
        script += &find;
    }
    // Whether a directory is there shows in its files.
    Ok(script + "true\n")
}

/// A word for the shell.
fn quoted(word: &str) -> Result<String> {
    match word.contains(['\'', '\n', '\\']) {
        true => Err(Error::NotRemote(format!("{word:?} is no path that can be looked at"))),
        false => Ok(format!("'{word}'")),
    }
}

/// Those that are not within another. Pure.
fn outermost(dirs: &BTreeSet<String>) -> Vec<&str> {
    let is_within =
        |dir: &str| dirs.iter().any(|other| other != dir && Path::new(dir).starts_with(other));
    dirs.iter().map(String::as_str).filter(|dir| !is_within(dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_directory_is_looked_at_twice() {
        let dirs = ["/usr/include", "/usr/include/c++/12", "/usr/includes", "/usr/lib/gcc/include"];
        let dirs = dirs.map(ToOwned::to_owned).into_iter().collect();
        assert_eq!(outermost(&dirs), ["/usr/include", "/usr/includes", "/usr/lib/gcc/include"]);
    }

    #[test]
    fn what_the_shell_would_read_otherwise_is_refused() {
        assert_eq!(quoted("/a b/$x").expect("a word"), "'/a b/$x'");
        assert!(quoted("/a'b").is_err());
    }
}
