//! A command line for a directory that nobody knows.

use super::Rewrite;
use crate::command::{self, Family, Meaning, Token};
use crate::refusal::{Refusal, impossible};

impl Rewrite {
    /// The command line with the user's absolute paths as the worker finds them, and with what makes
    /// the compiler tell them as the client's.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming a flag by which the worker's paths would be told all the same.
    pub(in crate::exec) fn arguments(&self, args: &[String]) -> Result<Vec<String>, Refusal> {
        let tokens = self.reading.parse(args);
        let mut placed = Vec::with_capacity(args.len() + 8);
        if let Some(flag) = command::recording_flag(self.reading.family, &tokens) {
            return told(flag);
        }
        let coverage = tokens.iter().any(is_coverage);
        if self.gcc {
            placed.extend(self.maps(coverage));
        }
        for token in &tokens {
            match token {
                Token::Flag { flag, value: Some(value), meaning: Meaning::Remap, .. } => {
                    placed.extend(self.users_map(flag, value));
                }
                _ => placed.extend(command::render(&[self.token(token)?])),
            }
        }
        placed.extend(self.profile(&tokens)?);
        if self.reading.family == Family::ClangCl {
            // Before the sources, of which some may follow on a `--`.
            let maps = self.maps(coverage).into_iter().flat_map(command::for_front_end);
            placed.splice(0..0, maps);
        } else if !self.gcc {
            placed.extend(self.maps(coverage));
        }
        Ok(placed)
    }

    fn token(&self, token: &Token) -> Result<Token, Refusal> {
        if let Some((to, inner)) = token.handed_on(self.reading.table()) {
            let inner: Result<Vec<_>, _> = inner.iter().map(|token| self.token(token)).collect();
            return Ok(Token::plain(format!("{to}{}", command::render(&inner?).join(","))));
        }
        match token {
            Token::Operand(name) => Ok(Token::Operand(self.path(name))),
            Token::Flag { flag, value, meaning: Meaning::Absolute, .. } => {
                let value = value.as_deref().unwrap_or("");
                told(&format!("{flag}{value}"))
            }
            Token::Flag { flag, meaning: Meaning::LinkTime, .. } if self.gcc => told(flag),
            Token::Flag { flag, meaning: Meaning::Coverage, .. } if !self.gcc => told(flag),
            Token::Flag { flag, value: Some(value), separate, meaning: Meaning::Path } => {
                Ok(Token::Flag {
                    flag: flag.clone(),
                    value: Some(self.path(value)),
                    separate: *separate,
                    meaning: Meaning::Path,
                })
            }
            Token::Flag { flag, value: Some(value), separate, meaning: Meaning::Paths } => {
                let paths: Vec<String> = value.split(':').map(|path| self.path(path)).collect();
                Ok(Token::Flag {
                    flag: flag.clone(),
                    value: Some(paths.join(":")),
                    separate: *separate,
                    meaning: Meaning::Paths,
                })
            }
            Token::Flag { value: Some(_), .. } => Ok(token.clone()),
            Token::Flag { flag, .. } => Ok(Token::plain(self.glued(flag))),
            Token::Unknown(arg) => Ok(Token::Unknown(self.glued(arg))),
        }
    }

    /// An argument with the paths in it that begin after `=`, `,`, `:` or the flag's own letters.
    fn glued(&self, arg: &str) -> String {
        let mut placed = String::with_capacity(arg.len());
        for part in arg.split_inclusive([',', '=', ':']) {
            let end = part.len() - usize::from(part.ends_with([',', '=', ':']));
            let at = part.find('/').filter(|at| *at == 0 || part.starts_with('-'));
            match at {
                Some(at) => {
                    placed.push_str(&part[..at]);
                    placed.push_str(&self.path(&part[at..end]));
                    placed.push_str(&part[end..]);
                }
                None => placed.push_str(part),
            }
        }
        placed
    }

    /// Where an instrumented program of gcc writes its counts: an absolute path that no map reaches,
    /// made of the directory for dumps. The notes then need a place of their own.
    fn profile(&self, tokens: &[Token]) -> Result<Vec<String>, Refusal> {
        let mut coverage = false;
        let (mut notes, mut dumps, mut object, mut source) = (false, None, None, None);
        for token in tokens {
            match token {
                Token::Flag { flag, meaning: Meaning::Coverage, .. } => {
                    coverage = true;
                    notes |= flag != "-fprofile-arcs" && flag != "-fprofile-generate";
                }
                Token::Flag { flag, meaning: Meaning::Dumps, .. } => dumps = Some(flag.clone()),
                Token::Flag { flag, value, .. } if flag == "-o" => object.clone_from(value),
                Token::Operand(name) if source.is_none() => source = Some(name.as_str()),
                _ => {}
            }
        }
        if !coverage {
            return Ok(Vec::new());
        }
        if let Some(flag) = dumps {
            return told(&format!("{flag} beside --coverage"));
        }
        let source = source.and_then(|name| name.rsplit('/').next());
        let Some(output) = object.as_deref().or(source) else { return Ok(Vec::new()) };
        let Ok(walked) = self.cwd.walk(output) else { return Ok(Vec::new()) };
        let mut flags = vec!["-dumpdir".to_owned(), format!("{}/", walked.path.parent())];
        if notes {
            let name = output.rfind('/').map_or(0, |slash| slash + 1);
            let stem = output[name..].rfind('.').map_or(output.len(), |dot| name + dot);
            flags.push(format!("-fprofile-note={}.gcno", self.path(&output[..stem])));
        }
        Ok(flags)
    }
}

fn is_coverage(token: &Token) -> bool {
    matches!(token, Token::Flag { meaning: Meaning::Coverage, .. })
}

fn told<T>(flag: &str) -> Result<T, Refusal> {
    impossible(format!(
        "with {flag} the result would hold a path of the worker, and this server's backend cannot run \
         it under the client's own path"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::rewrite;
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').skip(1).map(ToOwned::to_owned).collect()
    }

    /// What becomes of it in `/home/u/src`, with `/home/u` as the root and written `@`; beside the
    /// maps that are always there.
    #[track_caller]
    fn check(line: &str, placed: &str) {
        let rewrite = rewrite(line);
        let args = rewrite.arguments(&words(line)).expect("it can be done");
        if rewrite.reading.family == Family::ClangCl {
            let maps: Vec<_> =
                rewrite.maps(false).into_iter().flat_map(command::for_front_end).collect();
            let args = args.strip_prefix(&maps[..]).expect("the maps").join(" ");
            assert_eq!(args.replace("/proc/self/./cwd/..", "@"), placed, "{line}");
            return;
        }
        let maps = rewrite.maps(rewrite.reading.parse(&words(line)).iter().any(is_coverage));
        // Before the user's own for gcc, behind them for clang.
        let args = match rewrite.gcc {
            true => args.strip_prefix(&maps[..]),
            false => args.strip_suffix(&maps[..]),
        };
        let args = args.expect("the maps").join(" ");
        assert_eq!(args.replace("/proc/self/./cwd/..", "@"), placed, "{line}");
    }

    #[test]
    fn paths_are_found_where_they_stand() {
        check("gcc -I/home/u/i -I ../j -c /home/u/src/a.c", "-I@/i -I ../j -c @/src/a.c");
        check(
            "gcc -isystem /home/u/i -include /home/u/p.h -c a.c",
            "-isystem @/i -include @/p.h -c a.c",
        );
        check("gcc -I/usr/include/x -DX=/home/u/i -c a.c", "-I/usr/include/x -DX=/home/u/i -c a.c");
        check("gcc -Wp,-MD,/home/u/a.d,-I/home/u/i -c a.c", "-Wp,-MD,@/a.d,-I@/i -c a.c");
        check("gcc -fplugin-arg-x-f=/home/u/x -c a.c", "-fplugin-arg-x-f=@/x -c a.c");
        check("clang -unheard/home/u/x:/home/u/y -c a.c", "-unheard@/x:@/y -c a.c");
        check(
            "clang -Xclang -load -Xclang /home/u/p.so -c a.c",
            "-Xclang -load -Xclang @/p.so -c a.c",
        );
        check("gcc -g -gsplit-dwarf -c a.c -o /home/u/o/a.o", "-g -gsplit-dwarf -c a.c -o @/o/a.o");
        check("gcc -ffile-prefix-map=/home/u/i=j -c a.c", "-ffile-prefix-map=@/i=j -c a.c");
    }

    #[test]
    fn paths_of_clang_cl_are_found_behind_its_own_flags() {
        check(
            "clang-cl /nologo /I/home/u/i /imsvc /home/u/j /Fo/home/u/o/ /c /home/u/src/a.cc",
            "/nologo /I@/i /imsvc @/j /Fo@/o/ /c @/src/a.cc",
        );
        check(
            "clang-cl /clang:-include /clang:/home/u/p.h /Wall /c -- /home/u/a.cc",
            "/clang:-include /clang:@/p.h /Wall /c -- @/a.cc",
        );
    }

    #[test]
    fn counts_of_gcc_go_where_the_client_runs() {
        check(
            "gcc --coverage -c a.c -o obj/a.b.o",
            "--coverage -c a.c -o obj/a.b.o -dumpdir /home/u/src/obj/ -fprofile-note=obj/a.b.gcno",
        );
        check(
            "gcc -fprofile-generate -c ../x/a.c",
            "-fprofile-generate -c ../x/a.c -dumpdir /home/u/src/",
        );
    }

    #[test]
    fn what_would_tell_of_the_worker_is_refused_by_name() {
        for line in [
            "gcc -flto -c a.c",
            "gcc -frecord-gcc-switches -c a.c",
            "gcc -fprofile-dir=x --coverage -c a.c",
            "gcc --coverage -save-temps -c a.c",
            "clang --coverage -c a.c",
            "clang -fmodules -c a.c",
            "clang-cl /Z7 /c a.c",
        ] {
            let refused = rewrite(line).arguments(&words(line));
            let flag = line.split(' ').nth(1).expect("a flag").split('=').next().expect("a word");
            let flag = if line.contains("-save-temps") { "-save-temps" } else { flag };
            assert!(
                matches!(&refused, Err(Refusal::Impossible(why)) if why.contains(flag)),
                "{line}: {refused:?}"
            );
        }
    }
}
