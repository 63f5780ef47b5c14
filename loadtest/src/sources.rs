//! A small C project made from a seed, some of whose files change from round to round.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

const HEADERS: usize = 8;
/// Headers that a source includes, beside two of the system's.
const INCLUDED: usize = 3;
/// Functions in a header: 3 to 4 KB, beyond what clients always send along.
const FUNCTIONS: usize = 24;
/// Every so manieth source changes in a round, and every so manieth round a header does.
const SOURCE_TURN: usize = 3;
const HEADER_TURN: usize = 5;
/// Files younger than a minute are sent unasked; as old ones, half of them have to be asked for.
const OLD: Duration = Duration::from_secs(60 * 60);

/// The project's files.
#[derive(Debug)]
pub(crate) struct Sources {
    dir: PathBuf,
    seed: u64,
    files: usize,
}

impl Sources {
    /// Writes the project into `dir`. The same seed gives the same bytes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn create(dir: &Path, seed: u64, files: usize) -> Result<Self> {
        let sources = Self { dir: dir.to_owned(), seed, files };
        for made in ["include", "src", "obj"] {
            let made = dir.join(made);
            std::fs::create_dir_all(&made).map_err(|error| Error::file(&made, error))?;
        }
        (0..HEADERS).try_for_each(|n| sources.write_header(n, 0))?;
        (0..files).try_for_each(|n| sources.write_source(n, 0))?;
        sources.write("compile_commands.json", &sources.commands(), false)?;
        Ok(sources)
    }

    /// Lets the files change that change in this round, from 1.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn change(&self, round: usize) -> Result<()> {
        let turn = round % SOURCE_TURN;
        let mut changed = (0..self.files).filter(|n| n % SOURCE_TURN == turn);
        changed.try_for_each(|n| self.write_source(n, round))?;
        match round.is_multiple_of(HEADER_TURN) {
            true => self.write_header(round / HEADER_TURN % HEADERS, round),
            false => Ok(()),
        }
    }

    /// The command of each compile, to be run in the project's directory.
    pub(crate) fn argvs(&self) -> impl Iterator<Item = Vec<String>> {
        (0..self.files).map(|n| command(n).split(' ').map(ToOwned::to_owned).collect())
    }

    /// The list of compiles.
    pub(crate) fn compile_commands(&self) -> PathBuf {
        self.dir.join("compile_commands.json")
    }

    fn commands(&self) -> String {
        let entries = (0..self.files).map(|n| {
            serde_json::json!({
                "directory": self.dir,
                "file": format!("src/f{n}.c"),
                "command": command(n),
            })
        });
        serde_json::Value::from_iter(entries).to_string()
    }

    fn write_header(&self, n: usize, round: usize) -> Result<()> {
        self.write(&format!("include/h{n}.h"), &header(self.seed, n, round), n.is_multiple_of(2))
    }

    fn write_source(&self, n: usize, round: usize) -> Result<()> {
        self.write(&format!("src/f{n}.c"), &source(self.seed, n, round), n.is_multiple_of(2))
    }

    fn write(&self, name: &str, text: &str, old: bool) -> Result<()> {
        let path = self.dir.join(name);
        let failed = |error| Error::file(&path, error);
        std::fs::write(&path, text).map_err(failed)?;
        if old {
            let file = File::options().write(true).open(&path).map_err(failed)?;
            file.set_modified(SystemTime::now() - OLD).map_err(failed)?;
        }
        Ok(())
    }
}

fn command(n: usize) -> String {
    format!("gcc -O1 -Iinclude -c src/f{n}.c -o obj/f{n}.o")
}

fn header(seed: u64, n: usize, round: usize) -> String {
    let mut random = random(seed, n, round);
    let mut text = format!("#pragma once\n/* {n} as of round {round} */\n");
    for f in 0..FUNCTIONS {
        let (a, b) = (random.u32(..), random.u32(..));
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "static inline unsigned h{n}_{f}(unsigned x)\n{{\n    x ^= {a}u;\n    x *= {b}u | 1u;\n    \
             return (x >> {}) ^ x;\n}}",
            1 + a % 30
        );
    }
    text
}

fn source(seed: u64, n: usize, round: usize) -> String {
    let mut random = random(seed, HEADERS + n, round);
    let mut text = "#include <stdio.h>\n#include <string.h>\n".to_owned();
    let headers: Vec<usize> = (0..INCLUDED).map(|i| (n + i * (1 + n % 2)) % HEADERS).collect();
    for h in &headers {
        let _infallible = writeln!(text, "#include \"h{h}.h\"");
    }
    let _infallible = writeln!(
        text,
        "unsigned f{n}(const char *s)\n{{\n    unsigned x = strlen(s) + {}u;",
        random.u32(..)
    );
    for h in &headers {
        let _infallible = writeln!(text, "    x = h{h}_{}(x);", random.usize(..FUNCTIONS));
    }
    text + &format!("    printf(\"%s %u {round}\\n\", s, x);\n    return x;\n}}\n")
}

/// The directory, empty.
///
/// # Errors
/// When it cannot be made so.
pub(crate) fn fresh_dir(dir: &Path) -> Result<PathBuf> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file(dir, error));
        }
        _ => {}
    }
    std::fs::create_dir_all(dir).map_err(|error| Error::file(dir, error))?;
    Ok(dir.to_owned())
}

/// The same for the same file in the same round, whatever else was made.
fn random(seed: u64, file: usize, round: usize) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed ^ ((file as u64) << 32) ^ round as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(dir: &Path) -> Vec<(String, String)> {
        let read = |sub: &str| {
            let entries = std::fs::read_dir(dir.join(sub)).expect("a directory");
            entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
        };
        let mut files: Vec<_> = [read("include"), read("src")].concat();
        files.sort();
        let text = |path: &PathBuf| std::fs::read_to_string(path).expect("readable");
        files.iter().map(|path| (path.display().to_string(), text(path))).collect()
    }

    #[test]
    fn a_round_changes_a_third_of_the_sources_and_sometimes_a_header() {
        let dir = tempfile::tempdir().expect("a directory");
        let sources = Sources::create(dir.path(), 7, 9).expect("written");
        let mut before = all(dir.path());
        assert_eq!(before.len(), HEADERS + 9);
        let mut counts = Vec::new();
        for round in 1..=5 {
            sources.change(round).expect("written");
            let after = all(dir.path());
            counts.push(before.iter().zip(&after).filter(|(a, b)| a != b).count());
            before = after;
        }
        assert_eq!(counts, [3, 3, 3, 3, 4]);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        assert_eq!(source(1, 2, 3), source(1, 2, 3));
        assert_ne!(source(1, 2, 3), source(2, 2, 3));
        assert_ne!(header(1, 2, 3), header(1, 2, 4));
        assert!(header(1, 2, 3).len() > 2048);
    }

    #[test]
    fn half_of_the_files_look_old_and_compilers_take_them() {
        let dir = tempfile::tempdir().expect("a directory");
        Sources::create(dir.path(), 7, 2).expect("written");
        let age = |name: &str| {
            let modified = dir.path().join(name).metadata().and_then(|m| m.modified());
            modified.expect("a time").elapsed().expect("the past")
        };
        assert!(age("src/f0.c") > OLD / 2 && age("src/f1.c") < OLD / 2);
        let gcc = std::process::Command::new("gcc")
            .args(["-Wall", "-Werror", "-Iinclude", "-c", "src/f1.c", "-o", "obj/f1.o"])
            .current_dir(dir.path())
            .status();
        assert!(gcc.expect("gcc runs").success());
    }
}
