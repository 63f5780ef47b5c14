//! The file into which the compiler writes what it read, for make.

use super::flag_table::FlagTable;
use super::tokens::Token;

/// Its name as the command line gives it; `None` when none is written.
///
/// The preprocessor itself, behind `-Wp,`, wants the name right after `-MD`. clang-cl hands all of it
/// on to clang, which then knows of no object.
pub(crate) fn dependency_file(flags: &FlagTable, tokens: &[Token]) -> Option<String> {
    let for_clang: Vec<String> =
        tokens.iter().filter_map(Token::for_clang).map(ToOwned::to_owned).collect();
    if !for_clang.is_empty() {
        let source = tokens.iter().find(|token| match token {
            Token::Operand(_) => true,
            Token::Flag { flag, .. } => matches!(flag.get(1..), Some("Tp" | "Tc")),
            Token::Unknown(_) => false,
        });
        let source = source.map(|token| match token {
            Token::Flag { value: Some(name), .. } => Token::Operand(name.clone()),
            token => token.clone(),
        });
        return dependency_file(
            flags,
            &[flags.parse(&for_clang), source.into_iter().collect()].concat(),
        );
    }
    let mut written = false;
    let (mut named, mut object, mut source) = (None, None, None);
    for token in tokens {
        match token {
            Token::Flag { flag, value, .. } => match flag.as_str() {
                "-MD" | "-MMD" => written = true,
                "-MF" => named.clone_from(value),
                "-o" => object.clone_from(value),
                _ => {
                    if let Some(name) = flag.strip_prefix("-Wp,").and_then(of_preprocessor) {
                        written = true;
                        named = Some(name);
                    }
                }
            },
            Token::Operand(name) if source.is_none() => source = Some(name.clone()),
            _ => {}
        }
    }
    if !written {
        return None;
    }
    named.or_else(|| object.map(|name| with_suffix(&name))).or_else(|| {
        let source = source?;
        Some(with_suffix(source.rsplit('/').next().unwrap_or(&source)))
    })
}

fn of_preprocessor(list: &str) -> Option<String> {
    let mut words = list.split(',').skip_while(|word| !matches!(*word, "-MD" | "-MMD"));
    words.nth(1).map(ToOwned::to_owned)
}

fn with_suffix(path: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let stem = path[name..].rfind('.').map_or(path.len(), |dot| name + dot);
    format!("{}.d", &path[..stem])
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::super::family::Family;
    use super::*;

    #[track_caller]
    fn check(line: &str, name: Option<&str>) {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let flags = Flags::default().reading(Family::Gcc);
        let tokens = flags.parse(&words);
        assert_eq!(dependency_file(flags.table(), &tokens).as_deref(), name, "{line}");
    }

    #[test]
    fn clang_cl_names_it_after_the_source() {
        for (line, name) in [
            ("/c ../src/a.cc /Foobj/b.obj /clang:-MD", Some("a.d")),
            ("/c /Tp../src/a.x /clang:-MMD", Some("a.d")),
            ("/c a.cc /clang:-MD /clang:-MFx.dep", Some("x.dep")),
            ("/c a.cc /clang:-MD /clang:-MF /clang:y.dep", Some("y.dep")),
            ("/c a.cc /clang:-O3 /MD", None),
        ] {
            let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
            let flags = Flags::default().reading(Family::ClangCl);
            let tokens = flags.parse(&words);
            assert_eq!(dependency_file(flags.table(), &tokens).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn it_is_named_or_follows_from_the_object_or_the_source() {
        check("-MD -MF obj/a.deps -c a.c -o obj/a.o", Some("obj/a.deps"));
        check("-MMD -MFx -MF y -c a.c", Some("y"));
        check("-MD -c src/a.b.c -o o.dir/a.x.o", Some("o.dir/a.x.d"));
        check("-MD -c a.c -oo.dir/a", Some("o.dir/a.d"));
        check("-MMD -MT x -c src/a.b.c", Some("a.b.d"));
        check("-Wp,-MD,obj/.a.o.d -c a.c -o a.o", Some("obj/.a.o.d"));
        check("-Wp,-DX,-MMD,a.dep,-MP -c a.c -o a.o", Some("a.dep"));
    }

    #[test]
    fn there_is_none_unless_it_is_asked_for() {
        check("-c a.c -o a.d", None);
        check("-MF x -c a.c -o a.o", None);
        check("-Wp,-DX -c a.c", None);
    }
}
