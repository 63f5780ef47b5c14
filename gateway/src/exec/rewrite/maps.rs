//! The flags that make compilers write the client's paths for the worker's.
//!
//! Compilers compare beginnings of texts, not parts of paths, and so does this. Of several maps that
//! fit a path gcc 12 takes the last, clang 14 the longest, and of equal ones the first.

use super::{CWD, Rewrite};
use crate::paths::AbsPath;

impl Rewrite {
    /// Where no map of the user's own applies: the cwd and the root as they are.
    ///
    /// A flag each for debug information and for macros: gcc reads the one for all files after those
    /// for macros, wherever it stands, and it would win over the user's own.
    /// And one for the notes of coverage, where there are any.
    pub(super) fn maps(&self, coverage: bool) -> Vec<String> {
        let (cwd, root) = (self.cwd.as_str(), self.root.as_str().trim_end_matches('/'));
        let maps = |flag: &str| [format!("{flag}{CWD}={cwd}"), format!("{flag}{}={root}", self.at)];
        let flags = ["-fdebug-prefix-map=", "-fmacro-prefix-map=", "-fprofile-prefix-map="];
        flags.into_iter().take(if coverage { 3 } else { 2 }).flat_map(maps).collect()
    }

    /// A map of the user's own, from the client's paths, as the maps that do the same on the worker.
    pub(super) fn users_map(&self, flag: &str, value: &str) -> Vec<String> {
        let mut maps = Vec::new();
        let (from, to) = value.split_once('=').unwrap_or(("", ""));
        // What of the distribution's it maps has the same name on the worker.
        if AbsPath::parse(from).map_or(true, |from| from.is_system()) {
            return vec![format!("{flag}{value}")];
        }
        let root = self.root.as_str().trim_end_matches('/');
        if let Some(rest) = self.cwd.as_str().strip_prefix(from) {
            maps.push(format!("{flag}{CWD}={to}{rest}"));
        }
        if let Some(rest) = root.strip_prefix(from) {
            maps.push(format!("{flag}{}={to}{rest}", self.at));
        } else if let Some(rest) = from.strip_prefix(root) {
            maps.push(format!("{flag}{}{rest}={to}", self.at));
        }
        if maps.is_empty() {
            // What it maps is the worker's own, or nothing.
            maps.push(format!("{flag}{value}"));
        }
        maps
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rewrite, rewrite_in};
    use super::Rewrite;

    /// In `/home/u/src`, with `/home/u` as the root.
    #[track_caller]
    fn check(compiler: &str, map: &str, mapped: &[&str]) {
        compare(&rewrite(&format!("{compiler} -c a.c")), map, mapped);
    }

    #[track_caller]
    fn compare(rewrite: &Rewrite, map: &str, mapped: &[&str]) {
        let flag = "-fdebug-prefix-map=";
        let maps = rewrite.users_map(flag, map);
        let mapped: Vec<_> = mapped.iter().map(|map| format!("{flag}{map}")).collect();
        assert_eq!(maps, mapped, "{map}");
    }

    #[test]
    fn a_map_of_the_user_does_on_the_worker_what_it_did_at_home() {
        let at = "/proc/self/./cwd/..";
        check("gcc", "/home/u=X", &["/proc/self/cwd=X/src", &format!("{at}=X")]);
        check("gcc", "/home=X", &["/proc/self/cwd=X/u/src", &format!("{at}=X/u")]);
        check("gcc", "/home/u/src=.", &["/proc/self/cwd=.", &format!("{at}/src=.")]);
        check("gcc", "/home/u/inc=i", &[&format!("{at}/inc=i")]);
        check("gcc", "../x=/y", &["../x=/y"]);
        check("gcc", "/opt/x=/y", &["/opt/x=/y"]);
        check("clang", "/home/u=X", &["/proc/self/cwd=X/src", &format!("{at}=X")]);
        check("gcc", "/usr/include=i", &["/usr/include=i"]);
    }

    #[test]
    fn so_it_does_where_the_root_is_that_of_the_disk() {
        let rewrite = rewrite_in("/", "gcc -c a.c");
        let at = "/proc/self/./cwd/../../..";
        assert_eq!(rewrite.at, at);
        compare(&rewrite, "/var/x=i", &[&format!("{at}/var/x=i")]);
        compare(&rewrite, "/home=i", &["/proc/self/cwd=i/u/src", &format!("{at}/home=i")]);
        compare(&rewrite, "/usr/include=i", &["/usr/include=i"]);
        let maps = rewrite.maps(false).join(" ");
        assert!(maps.contains(&format!("-fdebug-prefix-map={at}= ")), "{maps}");
    }
}
