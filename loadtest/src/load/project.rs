//! A source that includes as many headers as are wanted, cheap to compile whatever their size.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Headers in one directory, as trees have them.
const IN_A_DIRECTORY: usize = 50;

/// Headers of one size, and the sources that include all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Project {
    pub(crate) seed: u64,
    pub(crate) headers: usize,
    /// Size of each header; smaller ones than can be are as small as they can be.
    pub(crate) header_bytes: usize,
    pub(crate) sources: usize,
}

impl Project {
    /// Writes all files below `dir`. The same seed gives the same bytes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn write(self, dir: &Path) -> Result<()> {
        for n in 0..self.headers {
            write(dir, &header_name(n), &self.header(n, &mark(self.seed, "header")))?;
        }
        for n in 0..self.sources {
            write(dir, &source_name(n), &self.source(&mark(self.seed, &format!("source-{n}"))))?;
        }
        Ok(())
    }

    /// A header's text: a line that can be told from all others, one constant, and filling.
    pub(crate) fn header(self, n: usize, mark: &str) -> String {
        let mut text = format!("/* {mark} */\n#pragma once\nenum {{ h{n} = {n} }};\n");
        let mut random = fastrand::Rng::with_seed(self.seed ^ ((n as u64) << 32));
        // Comments: a compiler is done with them as soon as it has read them.
        while text.len() + 3 < self.header_bytes {
            let room = (self.header_bytes - text.len() - 3).min(64);
            text += "//";
            let mut line = String::new();
            while line.len() < room {
                // Writing to a string does not fail.
                let _infallible = write!(line, "{:016x}", random.u64(..));
            }
            text += &line[..room];
            text.push('\n');
        }
        text
    }

    /// A source's text; its object holds the mark, and no other's does.
    pub(crate) fn source(self, mark: &str) -> String {
        let mut text = String::new();
        for n in 0..self.headers {
            // Writing to a string does not fail.
            let _infallible = writeln!(text, "#include \"{}\"", included_name(n));
        }
        text + &format!("const char goma_load_mark[] = \"{mark}\";\n")
    }
}

/// The command of this source's compile, to be run in the project's directory.
pub(crate) fn command(compiler: &str, n: usize) -> [String; 6] {
    let [include, compile, out] = ["-Iinclude", "-c", "-o"].map(str::to_owned);
    [compiler.to_owned(), include, compile, source_name(n), out, object_name(n)]
}

pub(crate) fn header_name(n: usize) -> String {
    format!("include/{}", included_name(n))
}

pub(crate) fn source_name(n: usize) -> String {
    format!("src/a{n}.c")
}

pub(crate) fn object_name(n: usize) -> String {
    format!("a{n}.o")
}

fn included_name(n: usize) -> String {
    format!("d{}/h{n}.h", n / IN_A_DIRECTORY)
}

fn mark(seed: u64, what: &str) -> String {
    format!("goma-load known {seed} {what}")
}

fn write(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    let parent = path.parent().unwrap_or(dir);
    std::fs::create_dir_all(parent).map_err(|error| Error::file(parent, error))?;
    std::fs::write(&path, text).map_err(|error| Error::file(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: Project = Project { seed: 1, headers: 60, header_bytes: 700, sources: 2 };

    #[test]
    fn headers_have_their_size_and_differ_by_number_seed_and_mark() {
        for bytes in [200, 201, 202, 203, 700, 4096] {
            let text = Project { header_bytes: bytes, ..PROJECT }.header(3, "m");
            assert!((bytes - 3..=bytes).contains(&text.len()), "{} of {bytes}", text.len());
        }
        assert_ne!(PROJECT.header(3, "m"), PROJECT.header(4, "m"));
        assert_ne!(PROJECT.header(3, "m"), PROJECT.header(3, "n"));
        assert_ne!(PROJECT.header(3, "m"), Project { seed: 2, ..PROJECT }.header(3, "m"));
    }

    #[test]
    fn compilers_take_them_and_objects_hold_the_mark() {
        let dir = tempfile::tempdir().expect("a directory");
        PROJECT.write(dir.path()).expect("written");
        let [program, args @ ..] = command("gcc", 1);
        let mut gcc = std::process::Command::new(program);
        let ended = gcc.args(args).current_dir(dir.path()).status().expect("gcc runs");
        assert!(ended.success());
        let object = std::fs::read(dir.path().join(object_name(1))).expect("an object");
        let mark = b"goma-load known 1 source-1\0";
        assert!(object.windows(mark.len()).any(|window| window == mark));
    }
}
