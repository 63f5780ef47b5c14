//! The command line of a Windows client, for a worker that runs Linux.

use super::super::job::Job;
use crate::command::{self as line, Meaning, Token};
use crate::paths::BadPath;
use crate::refusal::{Refusal, impossible};
use crate::windows_path::WindowsDir;

/// A job whose command line is still the client's.
pub(super) struct Commands<'a> {
    pub(super) job: &'a Job,
    /// The current directory, as the client tells it.
    pub(super) cwd: &'a str,
    pub(super) dir: &'a WindowsDir,
}

impl Commands<'_> {
    /// The arguments, with what a Windows client's clang-cl would know by itself.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming an argument that no Linux worker can make sense of.
    pub(super) fn arguments(&self) -> Result<Vec<String>, Refusal> {
        let tokens = &self.job.tokens;
        self.has_version()?;
        let mut args = self.target();
        args.extend(self.directories());
        args.extend(self.object());
        args.extend(self.headers()?);
        let mut placed = Vec::with_capacity(tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(2).and_then(|at| tokens.get(at..at + 2));
            placed.push(if before.is_some_and(is_told) {
                token.clone()
            } else {
                self.token(token)?
            });
        }
        let placed_tokens = placed;
        let placed = line::render(&placed_tokens);
        let include = self.variables();
        let ways = placed.iter().chain(args.iter()).chain(include.iter().map(|(_, dirs)| dirs));
        let drives = self.drives(ways);
        if !drives.is_empty() {
            self.no_other_map(&placed_tokens)?;
        }
        args.extend(drives.iter().flat_map(|drive| self.maps(*drive)));
        args.extend(placed);
        Ok(args)
    }

    fn token(&self, token: &Token) -> Result<Token, Refusal> {
        if let Some((to, inner)) = token.handed_on(self.job.reading.table()) {
            let inner: Result<Vec<_>, _> = inner.iter().map(|token| self.token(token)).collect();
            return Ok(Token::plain(format!("{to}{}", line::render(&inner?).join(","))));
        }
        match token {
            Token::Operand(name) => Ok(Token::Operand(self.way("source", name)?)),
            Token::Flag { flag, meaning: Meaning::Absolute, .. } => impossible(format!(
                "with {flag} the result would hold a path of the worker, which no Windows client knows"
            )),
            Token::Flag { flag, value: Some(value), separate, meaning } => {
                let value = match meaning {
                    // Behind -Xclang the value has one of its own.
                    Meaning::Path if value != "-Xclang" => self.way(flag, value)?,
                    Meaning::Remap => {
                        let (from, to) = value.split_once('=').unwrap_or((value, ""));
                        format!("{}={to}", self.way(flag, from)?)
                    }
                    _ if flag == line::LLVM => self.glued(value)?,
                    _ => value.clone(),
                };
                Ok(Token::Flag {
                    flag: flag.clone(),
                    value: Some(value),
                    separate: *separate,
                    meaning: *meaning,
                })
            }
            Token::Flag { flag, .. } => Ok(Token::plain(self.glued(flag)?)),
            Token::Unknown(arg) => Ok(Token::Unknown(self.glued(arg)?)),
        }
    }

    /// A map of the client's own for what our maps are for too: clang-cl reads ours last, since they are
    /// for its front end, and one that fits the way to the drives fits what has a drive.
    fn no_other_map(&self, tokens: &[Token]) -> Result<(), Refusal> {
        let to_drives = self.dir.to_drives();
        for (at, token) in tokens.iter().enumerate() {
            let Token::Flag { flag, value: Some(value), meaning: Meaning::Remap, .. } = token
            else {
                continue;
            };
            let handed = at.checked_sub(1).is_some_and(|at| is_flag(&tokens[at], "-Xclang"));
            let left = value.split('=').next().unwrap_or_default();
            if to_drives.starts_with(left) || !handed && left.starts_with(&to_drives) {
                return impossible(format!(
                    "{flag}{value} is read together with the maps of drives: put -Xclang before one for \
                     an absolute name"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn way(&self, what: &str, name: &str) -> Result<String, Refusal> {
        self.dir.way(name).or_else(|error: BadPath| impossible(format!("{what} {name:?} {error}")))
    }

    /// An argument with the absolute names in it that begin behind `=`, `,`, `;` or `:`.
    fn glued(&self, arg: &str) -> Result<String, Refusal> {
        let ends = |letter: char| matches!(letter, '=' | ',' | ';');
        let parts = arg.split_inclusive(ends).map(|part| {
            let end = part.trim_end_matches(ends).len();
            // Of `/x:C:\y` the name begins a letter before its last colon.
            let colon =
                part[..end].rfind(':').and_then(|colon| part[..colon].char_indices().last());
            let at = colon.map_or(0, |(at, _)| at);
            let name = &part[at..end];
            let begins = at == 0 || part[..at].ends_with(':');
            if !begins
                || name.len() < 3
                || !WindowsDir::is_absolute(name)
                || name.starts_with(['/', '\\'])
            {
                return Ok(part.to_owned());
            }
            Ok(format!("{}{}{}", &part[..at], self.way("argument", name)?, &part[end..]))
        });
        parts.collect()
    }
}

/// `-Xclang -fdebug-compilation-dir -Xclang`: what follows is told, and no path that is walked.
fn is_told(before: &[Token]) -> bool {
    is_flag(&before[0], "-fdebug-compilation-dir") && is_flag(&before[1], "-Xclang")
}

fn is_flag(token: &Token, spelling: &str) -> bool {
    matches!(token, Token::Flag { flag, .. } if flag == spelling)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing;
    use super::*;

    fn request(line: &str, inputs: &[&str], env: &[&str]) -> goma_proto::api::ExecReq {
        let mut request = testing::request(&format!("clang-cl {line}"), inputs);
        request.cwd = Some("C:\\src\\out".to_owned());
        request.env = env.iter().map(|pair| (*pair).to_owned()).collect();
        let spec = request.command_spec.get_or_insert_default();
        spec.system_include_path.clear();
        spec.target = Some("x86_64-pc-windows-msvc".to_owned());
        spec.version = Some("clang version 14.0.6".to_owned());
        request
    }

    fn parse(request: goma_proto::api::ExecReq) -> Result<Job, Refusal> {
        Job::parse(request.into(), &crate::identity::Caller::default(), &line::Flags::default())
    }

    const MAPS: &str = "-Xclang -fdebug-prefix-map=@c=C: -Xclang -fmacro-prefix-map=@c=C:";

    /// With `@` for the way to the drives.
    #[track_caller]
    fn check(line: &str, placed: &str) {
        let job = parse(request(&format!("-fmsc-version=1916 {line}"), &["..\\a.cc"], &[]));
        let args = job.expect("a job").args.join(" ").replace("../../../", "@");
        let always = "--target=x86_64-pc-windows-msvc ";
        let args =
            args.strip_prefix(always).expect("the target").replacen("-fmsc-version=1916 ", "", 1);
        assert_eq!(args, placed, "{line}");
    }

    #[test]
    fn names_become_ways() {
        check("/c ..\\a.cc /I..\\inc /Foobj\\a.obj", "/c ../a.cc /I../inc /Foobj/a.obj");
        check("/c a.cc -imsvc C:\\VS\\include", &format!("{MAPS} /c a.cc -imsvc @c/VS/include"));
        check(
            "/clang:-I..\\inc /clang:-MFx\\a.d /c a.cc",
            "/clang:-I../inc /clang:-MFx/a.d /c a.cc",
        );
        check("/DX=C:\\x /D Y=\\ /Wall /c -- ..\\a.cc", "/DX=C:\\x /D Y=\\ /Wall /c -- ../a.cc");
        check(
            "-fsanitize-ignorelist=..\\x.txt /winsysroot C:\\s /c a.cc",
            &format!("{MAPS} -fsanitize-ignorelist=../x.txt /winsysroot @c/s /c a.cc"),
        );
        check("/unheard:C:\\x\\y /c a.cc", &format!("{MAPS} /unheard:@c/x/y /c a.cc"));
        check("-mllvm -x=C:\\y /c a.cc", &format!("{MAPS} -mllvm -x=@c/y /c a.cc"));
        check("-unheard=C:/x,..\\y /c a.cc", &format!("{MAPS} -unheard=@c/x,..\\y /c a.cc"));
    }

    #[test]
    fn debug_information_tells_the_clients_directory() {
        let dirs = "-fdebug-compilation-dir=C:\\src\\out -fcoverage-compilation-dir=C:\\src\\out";
        let object = "-Xclang -object-file-name=C:\\src\\out\\";
        check("/Z7 /c a.cc", &format!("{dirs} {object}a.obj /Z7 /c a.cc"));
        check("/Z7 -ffile-compilation-dir=. /c a.cc", "/Z7 -ffile-compilation-dir=. /c a.cc");
        let half = "-fcoverage-compilation-dir=C:\\src\\out -fdebug-compilation-dir=. /Zi /c a.cc";
        check("-fdebug-compilation-dir=. /Zi /c a.cc", half);
        for (line, placed, name) in [
            ("/Z7 /c ..\\a.cc", "/Z7 /c ../a.cc", "C:\\src\\out\\a.obj"),
            ("/Z7 /Fox\\b /c a.cc", "/Z7 /Fox/b /c a.cc", "C:\\src\\out\\x\\b.obj"),
            ("/Z7 /Fox.d\\ /c a.b.cc", "/Z7 /Fox.d/ /c a.b.cc", "C:\\src\\out\\x.d\\a.b.obj"),
            ("/Z7 -o b.o /c a.cc", "/Z7 -o b.o /c a.cc", "C:\\src\\out\\b.o"),
            ("/Z7 /Foa.o /Fo /c a.cc", "/Z7 /Foa.o /Fo /c a.cc", "C:\\src\\out\\a.obj"),
        ] {
            check(line, &format!("{dirs} -Xclang -object-file-name={name} {placed}"));
        }
        let drive = "-Xclang -object-file-name=D:\\o\\a.obj -Xclang -fdebug-prefix-map=@d=D: -Xclang \
                     -fmacro-prefix-map=@d=D:";
        check("/Z7 /FoD:\\o\\ /c a.cc", &format!("{dirs} {drive} /Z7 /Fo@d/o/ /c a.cc"));
        let front_end = "-Xclang -fdebug-compilation-dir -Xclang C:\\x /c a.cc";
        check(front_end, front_end);
    }

    #[test]
    fn a_map_of_the_clients_own_keeps_its_slash() {
        check(
            "-Xclang -fdebug-prefix-map=C:\\src\\= /c a.cc",
            &format!("{MAPS} -Xclang -fdebug-prefix-map=@c/src/= /c a.cc"),
        );
        check("-ffile-prefix-map=x\\=y /c a.cc", "-ffile-prefix-map=x/=y /c a.cc");
        check("/clang:-Wp,-DX,-DY /c a.cc", "/clang:-Wp,-DX,-DY /c a.cc");
    }

    #[test]
    fn variables_are_those_of_compiles() {
        let env = ["Include=C:\\VS\\include;..\\sdk;", "Path=C:\\Windows", "LIB=D:\\lib", "X=1"];
        let job = parse(request("-fmsc-version=1916 /c a.cc", &[], &env)).expect("a job");
        let env: Vec<String> =
            job.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["INCLUDE=../../../c/VS/include;../sdk;", "LIB=../../../d/lib"]);
        assert!(
            job.args.contains(&"-fmacro-prefix-map=../../../d=D:".to_owned()),
            "{:?}",
            job.args
        );
    }

    #[test]
    fn the_clients_own_headers_are_read() {
        let own = "C:\\LLVM\\lib\\clang\\14.0.6\\include\\stddef.h";
        let job = parse(request("-fmsc-version=1916 /c a.cc", &["a.cc", own], &[])).expect("a job");
        let dir = "-resource-dir=../../../c/LLVM/lib/clang/14.0.6";
        assert!(job.args.contains(&dir.to_owned()), "{:?}", job.args);
        let same = "c:/llvm/bin/../lib/clang/14.0.6/include/stdint.h";
        let both = parse(request("-fmsc-version=1916 /c a.cc", &["a.cc", own, same], &[]));
        assert!(both.is_ok(), "{both:?}");
        let mut request = request("-fmsc-version=1916 /c a.cc", &["a.cc"], &[]);
        request.command_spec.get_or_insert_default().cxx_system_include_path =
            vec!["C:\\LLVM\\lib\\clang\\14.0.6\\include".to_owned(), "D:\\VS\\include".to_owned()];
        let job = parse(request).expect("a job");
        let imsvc: Vec<_> = job.args.iter().filter(|arg| arg.starts_with("-imsvc")).collect();
        assert_eq!(imsvc, ["-imsvc../../../d/VS/include"]);
    }

    #[test]
    fn what_no_linux_worker_can_do_is_refused_by_name() {
        let own = ["C:\\a\\lib\\clang\\14\\include\\x.h", "C:\\b\\lib\\clang\\14\\include\\x.h"];
        for (line, inputs, env, words) in [
            ("/c a.cc", &[][..], &[][..], "-fmsc-version="),
            ("-fmsc-version=1 /c C:a.cc", &[], &[], "source \"C:a.cc\" is relative to"),
            (
                "-fmsc-version=1 /I\\\\host\\x /c a.cc",
                &[],
                &[],
                "/I \"\\\\\\\\host\\\\x\" is on a share",
            ),
            ("-fmsc-version=1 /c ..\\..\\..\\a.cc", &[], &[], "above the root"),
            ("-fmsc-version=1 /c @a.rsp", &[], &[], "@a.rsp"),
            ("-fmsc-version=1 /c a.cc", &[], &["INCLUDE=C:x"], "variable INCLUDE: \"C:x\""),
            ("-fmsc-version=1 /FC /c a.cc", &[], &[], "/FC"),
            ("-fmsc-version=1 -v /c a.cc", &[], &[], "-v"),
            ("-fmsc-version=1 -ffile-prefix-map=C:\\src=x /c a.cc", &[], &[], "put -Xclang before"),
            (
                "-fmsc-version=1 -ffile-prefix-map=..=x /IC:\\i /c a.cc",
                &[],
                &[],
                "the maps of drives",
            ),
            ("-fmsc-version=1 /c a.cc", &own[..], &[], "own headers"),
            ("-fmsc-version=1 /c a.cc", &["\\\\host\\x.h"], &[], "is on a share"),
        ] {
            let refused = parse(request(line, inputs, env));
            assert!(
                matches!(&refused, Err(Refusal::Impossible(why)) if why.contains(words)),
                "{line}: {refused:?}"
            );
        }
    }
}
