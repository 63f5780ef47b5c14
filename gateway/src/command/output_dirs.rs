//! The directories that a compiler fills with files whose names only it knows.

use super::family::Family;
use super::include_dirs::dedup;
use super::tokens::Token;

/// Those of javac: for classes, for sources that processors make, and for headers.
const OF_JAVAC: [&str; 3] = ["-d", "-s", "-h"];

/// As the command line names them, each once.
pub(crate) fn output_dirs(family: Family, tokens: &[Token]) -> Vec<String> {
    let own = tokens.iter().filter(|_| family == Family::Javac);
    let mut dirs: Vec<String> = Vec::new();
    for (flag, dir) in own.filter_map(Token::path) {
        if OF_JAVAC.contains(&flag) {
            dirs.push(dir.to_owned());
        }
    }
    dedup(&mut dirs);
    dirs
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    #[test]
    fn javac_names_its_directories() {
        let words = "-d out -cp lib -s gen -h out A.java".split(' ').map(ToOwned::to_owned);
        let words: Vec<String> = words.collect();
        let dirs = |family| output_dirs(family, &Flags::default().reading(family).parse(&words));
        assert_eq!(dirs(Family::Javac), ["out", "gen"]);
        assert_eq!(dirs(Family::Gcc), [""; 0]);
    }
}
