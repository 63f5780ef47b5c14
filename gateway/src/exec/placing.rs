//! A command line's system paths, moved to where the client's files stand. Pure.
//!
//! What cannot be moved for certain is refused: the compiler would read the worker's file instead.

use std::collections::HashSet;

use super::job::Job;
use crate::command::{self, Meaning, Token};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// Puts a prefix before the system paths of a job.
pub(super) struct Placing<'a> {
    job: &'a Job,
    /// A directory that holds the client's `/`, relative to the cwd.
    prefix: &'a str,
    sent: HashSet<&'a AbsPath>,
}

impl<'a> Placing<'a> {
    pub(super) fn new(job: &'a Job, prefix: &'a str) -> Self {
        let sent = job.inputs.iter().map(|input| &input.path).collect();
        Self { job, prefix, sent }
    }

    /// The command line with all its paths in their places.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming the argument that has none.
    pub(super) fn tokens(&self, tokens: &[Token]) -> Result<Vec<Token>, Refusal> {
        tokens.iter().map(|token| self.token(token)).collect()
    }

    /// A system path as the worker finds the client's file by it; any other as it is.
    pub(super) fn path(&self, name: &str) -> String {
        match self.system(name) {
            Some(path) => format!("{}{path}", self.prefix),
            None => name.to_owned(),
        }
    }

    fn system(&self, name: &str) -> Option<AbsPath> {
        self.job.cwd.walk(name).ok().map(|walked| walked.path).filter(AbsPath::is_system)
    }

    fn token(&self, token: &Token) -> Result<Token, Refusal> {
        if let Some((to, inner)) = token.handed_on(self.job.reading.table()) {
            let words = command::render(&self.tokens(&inner)?);
            return Ok(Token::plain(format!("{to}{}", words.join(","))));
        }
        match token {
            Token::Operand(name) => Ok(Token::Operand(self.path(name))),
            Token::Flag { flag, .. } if stays(flag) => Ok(token.clone()),
            Token::Flag { flag, value: Some(value), separate, meaning: Meaning::Path } => {
                Ok(Token::Flag {
                    flag: flag.clone(),
                    value: Some(self.value(flag, value)?),
                    separate: *separate,
                    meaning: Meaning::Path,
                })
            }
            Token::Flag { flag, value: Some(value), meaning: Meaning::Paths, .. } => {
                match value.split(':').any(|path| self.system(path).is_some()) {
                    true => impossible(has_no_place(&format!("{flag} {value}"))),
                    false => Ok(token.clone()),
                }
            }
            Token::Flag { flag, value: Some(value), meaning: Meaning::Remap, .. } => {
                // Of several maps for one path compilers choose each in their own way.
                match self.system(value.split('=').next().unwrap_or("")) {
                    Some(_) => impossible(has_no_place(&format!("{flag}{value}"))),
                    None => Ok(token.clone()),
                }
            }
            Token::Flag { .. } | Token::Unknown(_) => {
                match token.glued_paths().find(AbsPath::is_system) {
                    Some(path) => impossible(has_no_place(path.as_str())),
                    None => Ok(token.clone()),
                }
            }
        }
    }

    fn value(&self, flag: &str, value: &str) -> Result<String, Refusal> {
        if is_sysroot(flag) && value == "/" {
            return Ok(self.prefix.to_owned());
        }
        let Some(path) = self.system(value) else { return Ok(value.to_owned()) };
        if !is_directory(flag) && !self.sent.contains(&path) {
            return impossible(format!(
                "the worker's system files are others than the client's, which sent no {value} for \
                 {flag}"
            ));
        }
        Ok(self.path(value))
    }
}

fn has_no_place(what: &str) -> String {
    format!(
        "the worker's system files are others than the client's, which cannot be put in the place of \
         {what}"
    )
}

/// The compiler's own programs and libraries are the worker's; outputs are nobody's yet.
fn stays(flag: &str) -> bool {
    ["-B", "-L", "--gcc-toolchain=", "-fuse-ld=", "-o", "-MF"].contains(&flag)
        || matches!(
            flag.get(1..),
            Some("o" | "Fo" | "Fo:" | "Fa" | "Fd" | "Fe" | "Fi" | "Fm" | "FR")
        )
}

fn is_sysroot(flag: &str) -> bool {
    flag.starts_with("--sysroot") || flag == "-isysroot"
}

/// Whether a flag's value is a directory, and not one file that the client must have sent.
fn is_directory(flag: &str) -> bool {
    let search = ["-I", "-iquote", "-isystem", "-idirafter"].contains(&flag);
    let of_cl = ["I", "AI", "imsvc", "external:I", "winsysroot", "vctoolsdir", "winsdkdir"];
    let of_cl = flag.get(1..).is_some_and(|name| of_cl.contains(&name));
    let own = flag.starts_with("-resource-dir");
    search || of_cl || own || is_sysroot(flag) || flag.starts_with("--include-directory")
}

#[cfg(test)]
mod tests {
    use super::super::testing::job;
    use super::*;

    const PREFIX: &str = "../.goma-system";

    #[track_caller]
    fn check(line: &str, mapped: &str) {
        let job = job(line, &["/usr/share/x/a.c", "/usr/include/pre.h"]);
        let placed = Placing::new(&job, PREFIX).tokens(&job.tokens).expect("it can be done");
        assert_eq!(command::render(&placed).join(" "), mapped);
    }

    #[test]
    fn system_paths_become_the_clients_wherever_they_stand() {
        check("gcc -c /usr/share/x/a.c", "-c ../.goma-system/usr/share/x/a.c");
        check("gcc -I/usr/include/x -c a.c", "-I../.goma-system/usr/include/x -c a.c");
        check("gcc -isystem /usr/x -c a.c", "-isystem ../.goma-system/usr/x -c a.c");
        check("gcc -I../../../usr/x -c a.c", "-I../.goma-system/usr/x -c a.c");
        check(
            "gcc -include /usr/include/pre.h -c a.c",
            "-include ../.goma-system/usr/include/pre.h -c a.c",
        );
        check("gcc -Wp,-I/usr/x,-DY -c a.c", "-Wp,-I../.goma-system/usr/x,-DY -c a.c");
        check("gcc -Wp,-MD,lib/a.d -c a.c", "-Wp,-MD,lib/a.d -c a.c");
        check("clang -Xclang -I/usr/x -c a.c", "-Xclang -I../.goma-system/usr/x -c a.c");
        check(
            "clang -Xclang -internal-isystem -Xclang /usr/x -c a.c",
            "-Xclang -internal-isystem -Xclang ../.goma-system/usr/x -c a.c",
        );
        check("gcc --sysroot=/ -I=/usr/x -c a.c", "--sysroot=../.goma-system -I=/usr/x -c a.c");
        check(
            "clang-cl /I/usr/x -imsvc /usr/y /Foa.obj /c /clang:-I/usr/z -- /usr/share/x/a.c",
            "/I../.goma-system/usr/x -imsvc ../.goma-system/usr/y /Foa.obj /c \
             /clang:-I../.goma-system/usr/z -- ../.goma-system/usr/share/x/a.c",
        );
    }

    #[test]
    fn programs_outputs_and_macros_stay_as_they_are() {
        for args in [
            "-B/usr/lib/x -c a.c",
            "-DX=/usr/x -c a.c",
            "-Wl,-rpath,/usr/lib -c a.c",
            "-L/usr/lib -c a.c",
        ] {
            check(&format!("gcc {args}"), args);
        }
    }

    #[test]
    fn what_would_reach_the_workers_files_is_refused_by_name() {
        for line in [
            "gcc -iprefix/usr/x/ -c a.c",
            "gcc -Wp,-iprefix/usr/x/ -c a.c",
            "gcc -fsome-file=/usr/x -c a.c",
            "gcc -fdebug-prefix-map=/usr/include=/x -c a.c",
            "gcc -specs=/usr/lib/specs -c a.c",
        ] {
            let job = job(line, &["a.c"]);
            let refusal = Placing::new(&job, PREFIX).tokens(&job.tokens);
            let Err(Refusal::Impossible(why)) = refusal else { panic!("{line}: {refusal:?}") };
            assert!(why.contains("/usr/"), "{why}");
        }
    }
}
