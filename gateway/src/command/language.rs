//! Which language a command line is about, and so which include directories are searched.

use super::tokens::Token;

/// Suffixes of C++ and Objective-C++ sources, from the manuals of GCC 12 and Clang 14.
const CXX: [&str; 19] = [
    "cc", "cp", "cxx", "cpp", "CPP", "c++", "C", "ii", "mm", "M", "mii", "hh", "H", "hp", "hxx",
    "hpp", "HPP", "h++", "tcc",
];
/// Suffixes that a C++ driver takes for C++ too; it knows the language of all others.
const CXX_BY_DRIVER: [&str; 3] = ["c", "h", "i"];

/// Whether the compiler of this name reads C++: what the last `-x` before a source says, else the
/// source's suffix, else the driver.
pub(crate) fn is_cxx(compiler: &str, tokens: &[Token]) -> bool {
    let driver = compiler.ends_with("++");
    let mut said: Option<&str> = None;
    let mut known = None;
    for token in tokens {
        match token {
            Token::Flag { flag, value: Some(value), .. } if flag == "-x" => {
                said = Some(value.as_str()).filter(|language| *language != "none");
            }
            // clang-cl: for all sources, and for the one that is the value.
            Token::Flag { flag, .. } if matches!(flag.as_str(), "/TP" | "-TP" | "/Tp" | "-Tp") => {
                return true;
            }
            Token::Flag { flag, .. } if matches!(flag.as_str(), "/TC" | "-TC" | "/Tc" | "-Tc") => {
                return false;
            }
            Token::Operand(name) => {
                let cxx = match said {
                    Some(language) => Some(language.contains("c++")),
                    None => of_file(name, driver),
                };
                // The value of a flag that is not known may look like a source in C.
                known = known.max(cxx);
            }
            _ => {}
        }
    }
    known.unwrap_or(driver)
}

/// `None` where the suffix is of no language.
fn of_file(name: &str, driver: bool) -> Option<bool> {
    let (_, suffix) = name.rsplit_once('.')?;
    match suffix {
        _ if CXX.contains(&suffix) => Some(true),
        _ if CXX_BY_DRIVER.contains(&suffix) => Some(driver),
        "m" | "mi" | "S" | "s" | "sx" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::Family;
    use super::super::tokens::parse_as;
    use super::*;

    fn check(line: &str) -> bool {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        is_cxx(&words[0], &parse_as(Family::of(&words[0]), &words[1..]))
    }

    #[test]
    fn a_source_says_its_language_by_its_suffix() {
        for line in
            ["gcc -c x.cc", "gcc -c x.C", "clang -c a.b/x.c++", "gcc -c x.ii", "gcc -c x.mm"]
        {
            assert!(check(line), "{line}");
        }
        for line in
            ["gcc -c x.c", "gcc -c a.cc/x.c", "gcc -c x.i", "g++ -c x.m", "gcc -Dx.cc -c x.c"]
        {
            assert!(!check(line), "{line}");
        }
    }

    #[test]
    fn a_c_plus_plus_driver_takes_c_for_c_plus_plus() {
        assert!(check("g++ -c x.c"));
        assert!(check("clang++ -c x"));
    }

    #[test]
    fn the_flag_before_the_source_decides() {
        assert!(check("gcc -x c++ -c x.c"));
        assert!(check("gcc -xobjective-c++ -c x.c"));
        assert!(!check("g++ -x c -c x.cc"));
        assert!(check("gcc -x c -x none -c x.cc"));
        assert!(!check("gcc -c x.c -x c++"));
        assert!(check("clang-cl /TP /c x.c") && check("clang-cl /c -Tpx.c"));
        assert!(!check("clang-cl /TC /c x.cc") && !check("clang-cl /c /Tc x.cc"));
        assert!(check("clang-cl /c x.cc") && !check("clang-cl /c x.c"));
    }
}
