//! What clang-cl knows by itself on a Windows client and has to be told on Linux.

use std::collections::BTreeSet;

use super::command::Commands;
use crate::command::{self as line, Meaning, Token};
use crate::refusal::{Refusal, impossible};
use crate::windows_path::{DRIVES, WindowsDir};

impl Commands<'_> {
    /// On Windows clang-cl pretends to be the version of Microsoft's compiler that is installed.
    pub(super) fn has_version(&self) -> Result<(), Refusal> {
        let flags = ["-fmsc-version=", "-fms-compatibility-version="];
        let told = |arg: &String| flags.iter().any(|flag| arg.contains(flag));
        match self.job.expanded_args.iter().any(told) {
            true => Ok(()),
            false => impossible(
                "without -fmsc-version= or -fms-compatibility-version= clang-cl takes the version of the \
                 client's Visual Studio, which no Linux worker knows: name it",
            ),
        }
    }

    /// That of the client's compiler, where the command line names none.
    pub(super) fn target(&self) -> Vec<String> {
        let target = &self.job.compiler.target;
        let named = |arg: &String| arg.starts_with("--target=");
        let known = target.contains("windows") && !self.job.expanded_args.iter().any(named);
        known.then(|| format!("--target={target}")).into_iter().collect()
    }

    /// What debug information tells as the current directory, where the command line does not say.
    pub(super) fn directories(&self) -> Vec<String> {
        let has = |wanted: &[Meaning]| {
            let meanings = self.job.tokens.iter().filter_map(|token| match token {
                Token::Flag { meaning, .. } => Some(*meaning),
                _ => None,
            });
            meanings.into_iter().any(|meaning| wanted.contains(&meaning))
        };
        if !has(&[Meaning::DebugInfo]) || has(&[Meaning::CompilationDir]) {
            return Vec::new();
        }
        let both = [
            (Meaning::DebugDir, "-fdebug-compilation-dir="),
            (Meaning::CoverageDir, "-fcoverage-compilation-dir="),
        ];
        let missing = both.into_iter().filter(|(meaning, _)| !has(&[*meaning]));
        missing.map(|(_, flag)| format!("{flag}{}", self.cwd)).collect()
    }

    /// The object's whole name, which debug information tells where the directory is not relative. A
    /// worker would take an absolute one of Windows for a relative one, and tell the name as typed.
    pub(super) fn object(&self) -> Vec<String> {
        let mut debug = false;
        let (mut dir, mut object, mut source) = (None, None, None);
        let mut handed_on = false;
        for token in &self.job.tokens {
            let is_value = std::mem::take(&mut handed_on);
            match token {
                Token::Flag { meaning: Meaning::DebugInfo, .. } => debug = true,
                Token::Flag {
                    meaning: Meaning::CompilationDir | Meaning::DebugDir, value, ..
                } => {
                    dir = value.as_deref();
                }
                Token::Flag { flag, value, .. } => match flag.get(1..) {
                    Some("Fo" | "Fo:" | "o") => object = value.as_deref(),
                    Some("Tc" | "Tp") => source = source.or(value.as_deref()),
                    Some("Xclang") => handed_on = true,
                    _ => {}
                },
                Token::Operand(name) if !is_value => source = source.or(Some(name.as_str())),
                _ => {}
            }
        }
        let relative = dir.is_some_and(|dir| !WindowsDir::is_absolute(dir));
        // Before 14 there is no such flag, and no such name.
        let known = major(&self.job.compiler.version).is_some_and(|major| major >= 14);
        let Some(source) = source.filter(|_| debug && known && !relative) else {
            return Vec::new();
        };
        let is_slash = |letter: char| matches!(letter, '\\' | '/');
        let source = source.rsplit(is_slash).next().unwrap_or(source);
        let object = object.unwrap_or("");
        let mut name = match object {
            "" => source.to_owned(),
            dir if dir.ends_with(is_slash) => format!("{dir}{source}"),
            name => name.to_owned(),
        };
        if !object.rsplit(is_slash).next().is_some_and(|last| last.contains('.')) {
            let start = name.rfind(is_slash).map_or(0, |slash| slash + 1);
            let end = name[start..].rfind('.').map_or(name.len(), |dot| start + dot);
            name = format!("{}.obj", &name[..end]);
        }
        let whole = match name.starts_with(is_slash) {
            true => format!("{}{name}", &self.cwd[..2]),
            false if WindowsDir::is_absolute(&name) => name,
            false => format!("{}\\{name}", self.cwd.trim_end_matches(is_slash)),
        };
        line::for_front_end(format!("-object-file-name={whole}")).into()
    }

    /// Where the client's clang-cl finds its own headers, which the worker's may not be, and those
    /// of Visual Studio where no variable tells of them.
    pub(super) fn headers(&self) -> Result<Vec<String>, Refusal> {
        let args = self.job.expanded_args.iter().filter_map(|arg| arg.get(1..));
        let has =
            |flags: &[&str]| args.clone().any(|arg| flags.iter().any(|it| arg.starts_with(it)));
        let none = args.clone().any(|arg| matches!(arg, "X" | "nostdinc" | "nostdlibinc"));
        let own: BTreeSet<&str> =
            self.job.inputs.iter().filter_map(|input| own_headers(&input.name)).collect();
        let mut flags = Vec::new();
        if let Some(dir) = own.first().filter(|_| !has(&["resource-dir"])) {
            // By where they are, however they are spelled.
            let place = |dir: &str| {
                self.dir.walk(dir).map(|walked| walked.path.as_str().to_lowercase()).ok()
            };
            let first = place(dir);
            let other = own.iter().find(|other| place(other) != first);
            if let Some(other) = other {
                return impossible(format!(
                    "{dir:?} and {other:?} hold the compiler's own headers"
                ));
            }
            flags.push(format!("-resource-dir={}", self.way("input", dir)?));
        }
        let told = self.job.env.iter().any(|(name, _)| name.eq_ignore_ascii_case("INCLUDE"));
        if !told && !none && !has(&["winsysroot", "vctoolsdir"]) {
            for dir in &self.job.compiler.system_include {
                if own_headers(&format!("{dir}/")).is_none() {
                    let below = dir.as_str().trim_start_matches(DRIVES);
                    flags.push(format!(
                        "-imsvc{}{}",
                        self.dir.to_drives(),
                        below.trim_start_matches('/')
                    ));
                }
            }
        }
        Ok(flags)
    }

    /// The drives that ways lead over.
    pub(super) fn drives<'b>(&self, texts: impl Iterator<Item = &'b String>) -> BTreeSet<char> {
        let to_drives = self.dir.to_drives();
        texts
            .flat_map(|text| text.match_indices(&to_drives).map(|(at, _)| &text[at..]))
            .filter_map(|way| way[to_drives.len()..].chars().next())
            .collect()
    }

    /// The flags by which a drive is told instead of the way to it.
    pub(super) fn maps(&self, drive: char) -> Vec<String> {
        let (way, name) = (self.dir.to_drives(), drive.to_ascii_uppercase());
        let flags = ["-fdebug-prefix-map=", "-fmacro-prefix-map="];
        flags.map(|flag| line::for_front_end(format!("{flag}{way}{drive}={name}:"))).concat()
    }
}

/// The first number of a version that is told as `clang version 14.0.6`.
fn major(version: &str) -> Option<u32> {
    let (_, told) = version.split_once("version ")?;
    told.split('.').next()?.parse().ok()
}

/// The directory of clang's resources, of a header in it.
fn own_headers(name: &str) -> Option<&str> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let at = ["lib/clang/", "lib\\clang\\"].iter().find_map(|dir| name.find(dir))?;
    let begins = at == 0 || is_slash(&name.as_bytes()[at - 1]);
    let version = at + "lib/clang/".len();
    let end = version + name.as_bytes()[version..].iter().position(is_slash)?;
    let include = name.get(end + 1..)?.strip_prefix("include")?;
    (begins && include.starts_with(['/', '\\'])).then(|| &name[..end])
}
