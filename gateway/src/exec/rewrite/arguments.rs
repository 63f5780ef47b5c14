//! A command line for a directory that nobody knows.

use super::Rewrite;
use super::maps::{Map, agree};
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
        let mut users: Vec<Vec<Map>> = tokens
            .iter()
            .filter_map(remap)
            .map(|(flag, value)| self.users_map(flag, value))
            .collect();
        if !self.gcc {
            agree(users.iter_mut().flatten());
        }
        let maps = self.maps(coverage, users.iter().flatten());
        let ours = maps.iter().map(Map::render);
        if self.reading.family == Family::ClangCl {
            placed.extend(ours.flat_map(command::for_front_end));
        } else {
            placed.extend(ours);
        }
        // gcc writes such flags into debug information, where no search finds what is compressed.
        let recorded = self.gcc && command::records_flags(&tokens);
        let mut users = users.into_iter();
        for (at, token) in tokens.iter().enumerate() {
            let Some((flag, _)) = remap(token) else {
                let ours = command::render(&[self.token(token)?]);
                if recorded && is_producers(token) && ours != command::render(&tokens[at..=at]) {
                    return told(&command::render(&tokens[at..=at]).concat());
                }
                placed.extend(ours);
                continue;
            };
            let before = at.checked_sub(1).map(|at| command::render(&tokens[at..=at]));
            let handed = before.is_some_and(|words| words == ["-Xclang"]);
            for (nth, map) in users.next().unwrap_or_default().into_iter().enumerate() {
                // clang-cl reads ours last, which are for its front end.
                if self.reading.family == Family::ClangCl
                    && !handed
                    && maps.iter().any(|ours| map.is_within(ours))
                {
                    return told(flag);
                }
                if handed && nth > 0 {
                    placed.push("-Xclang".to_owned());
                }
                placed.push(map.render());
            }
        }
        placed.extend(self.profile(&tokens)?);
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
            Token::Flag { flag, value: Some(value), separate, meaning }
                if flag == command::LLVM =>
            {
                Ok(Token::Flag {
                    flag: flag.clone(),
                    value: Some(self.glued(value)),
                    separate: *separate,
                    meaning: *meaning,
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
            // From the cwd, since debug information tells it.
            let output = match output.starts_with('/') {
                true => walked.path.relative_to(&self.cwd),
                false => output.to_owned(),
            };
            let name = output.rfind('/').map_or(0, |slash| slash + 1);
            let stem = output[name..].rfind('.').map_or(output.len(), |dot| name + dot);
            flags.push(format!("-fprofile-note={}.gcno", &output[..stem]));
        }
        Ok(flags)
    }
}

/// A map of the user's own: its flag and its value.
fn remap(token: &Token) -> Option<(&str, &str)> {
    match token {
        Token::Flag { flag, value: Some(value), meaning: Meaning::Remap, .. } => {
            Some((flag, value))
        }
        _ => None,
    }
}

/// Whether gcc tells this in debug information as what it was run with.
fn is_producers(token: &Token) -> bool {
    matches!(token, Token::Flag { flag, .. } | Token::Unknown(flag)
        if flag.starts_with("-f") || flag.starts_with("-m"))
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
        let users: Vec<Map> = rewrite
            .reading
            .parse(&words(line))
            .iter()
            .filter_map(remap)
            .flat_map(|(flag, value)| rewrite.users_map(flag, value))
            .collect();
        let coverage = rewrite.reading.parse(&words(line)).iter().any(is_coverage);
        let maps = rewrite.maps(coverage, users.iter());
        let maps = maps.iter().map(Map::render);
        let maps: Vec<String> = match rewrite.reading.family {
            Family::ClangCl => maps.flat_map(command::for_front_end).collect(),
            _ => maps.collect(),
        };
        let args = args.strip_prefix(&maps[..]).expect("the maps").join(" ");
        assert_eq!(args.replace("/proc/self/./cwd/..", "@"), placed, "{line}");
    }

    /// All that is mapped, in order, with `@` for the root and `.` for the current directory.
    #[track_caller]
    fn maps(line: &str, mapped: &str) {
        let args = rewrite(line).arguments(&words(line)).expect("it can be done").join(" ");
        let args = args.replace("/proc/self/./cwd/..", "@").replace("/proc/self/cwd", ".");
        let args = args.replace("-fdebug-prefix-map=", "d:").replace("-fmacro-prefix-map=", "m:");
        let end = args.find(" -c").expect("the rest");
        assert_eq!(args[..end].replace("-Xclang ", "^"), mapped, "{line}");
    }

    #[test]
    fn a_map_of_the_users_wins_by_its_length_and_by_its_place() {
        let ours = "d:.=/home/u/src d:@=/home/u m:.=/home/u/src m:@=/home/u";
        maps("clang -fdebug-prefix-map=/home/u/i=j -c a.c", &format!("{ours} d:@/i=j"));
        maps("gcc -fdebug-prefix-map=/home/u/i=j -c a.c", &format!("{ours} d:@/i=j"));
        // None is for the same text.
        maps(
            "clang -fdebug-prefix-map=/home/u=X -c a.c",
            "m:.=/home/u/src m:@=/home/u d:.=X/src d:@=X",
        );
        maps(
            "clang -ffile-prefix-map=/home/u/src=X -c a.c",
            "d:@=/home/u m:@=/home/u -ffile-prefix-map=.=X -ffile-prefix-map=@/src=X",
        );
        // The longer of two is the last: both ways to choose find it.
        maps(
            "clang -fdebug-prefix-map=/home=X -fdebug-prefix-map=/home/u=Y -c a.c",
            "m:.=/home/u/src m:@=/home/u d:.=Y/src d:@=Y d:.=Y/src d:@=Y",
        );
        // Here they do not, as they do not at home.
        maps(
            "clang -fdebug-prefix-map=/home/u=Y -fdebug-prefix-map=/home=X -c a.c",
            "m:.=/home/u/src m:@=/home/u d:.=Y/src d:@=Y d:.=X/u/src d:@=X/u",
        );
    }

    #[test]
    fn a_map_for_clangs_front_end_stays_one() {
        let cl = "^d:.=/home/u/src ^d:@=/home/u";
        maps(
            "clang-cl -Xclang -fmacro-prefix-map=/home/u=X -c a.cc",
            &format!("{cl} ^m:.=X/src ^m:@=X"),
        );
        maps(
            "clang -Xclang -fmacro-prefix-map=/home/u=X -c a.cc",
            "d:.=/home/u/src d:@=/home/u ^m:.=X/src ^m:@=X",
        );
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
        check("gcc -g -g0 -fplugin=/home/u/x -c a.c", "-g -g0 -fplugin=@/x -c a.c");
        check(
            "gcc -g -gno-record-gcc-switches -fplugin=/home/u/x -c a.c",
            "-g -gno-record-gcc-switches -fplugin=@/x -c a.c",
        );
        check("clang -g -fplugin=/home/u/x -c a.c", "-g -fplugin=@/x -c a.c");
        check("clang -unheard/home/u/x:/home/u/y -c a.c", "-unheard@/x:@/y -c a.c");
        check(
            "clang -Xclang -load -Xclang /home/u/p.so -c a.c",
            "-Xclang -load -Xclang @/p.so -c a.c",
        );
        check("clang -mllvm -x-file=/home/u/x -c a.c", "-mllvm -x-file=@/x -c a.c");
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
            "gcc -g --coverage -c a.c -o /home/u/o/a.o",
            "-g --coverage -c a.c -o @/o/a.o -dumpdir /home/u/o/ -fprofile-note=../o/a.gcno",
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
            "gcc -fplugin=/home/u/p.so -g -gz -c a.c",
            "gcc -fplugin-arg-p-x=/home/u/x -g -gz -c a.c",
            "clang --coverage -c a.c",
            "clang -fmodules -c a.c",
            "clang-cl /Z7 /c a.c",
            "clang-cl -fmacro-prefix-map=/home/u/i=j /c a.c",
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
