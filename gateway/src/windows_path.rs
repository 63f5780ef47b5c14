//! Paths of Windows clients, as text, and where they stand among the paths of [`crate::paths`].
//!
//! `C:\src\a.cc` is `/windows/c/src/a.cc`: each drive is a directory, and all drives have one that
//! holds them, so that what lies on two of them can lie in one input root.

use crate::paths::{AbsPath, BadPath, Walked, is_too_long};

/// The directory of the drives.
pub(crate) const DRIVES: &str = "/windows";

/// A directory of a Windows client, in which it reads names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowsDir {
    /// Its drive: a lower-case letter.
    drive: char,
    /// Where it stands.
    path: AbsPath,
}

impl WindowsDir {
    /// Reads an absolute path with a drive.
    ///
    /// # Errors
    /// What is wrong with it as such.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPath> {
        if is_too_long(text, DRIVES.len(), 2) {
            return Err(BadPath::TooLong);
        }
        let Some((drive, below)) = of_drive(text)? else { return Err(BadPath::NotAbsolute) };
        let path = AbsPath::parse(&format!("{DRIVES}/{drive}/{}", below_drive(&below, 0)?))?;
        Ok(Self { drive, path })
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &AbsPath {
        &self.path
    }

    /// Follows a name as Windows does, but for `..` above a drive, which there leads nowhere.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(crate) fn walk(&self, name: &str) -> Result<Walked, BadPath> {
        self.path.walk(&self.placed(name)?)
    }

    /// A name with slashes; an absolute one as where it stands.
    fn placed(&self, name: &str) -> Result<String, BadPath> {
        if name.is_empty() {
            return Err(BadPath::Malformed);
        }
        // With the way that leads over the drives before it.
        let ups = self.depth() + 3;
        if is_too_long(name, 3 * ups, ups) {
            return Err(BadPath::TooLong);
        }
        if let Some((drive, below)) = of_drive(name)? {
            return Ok(format!("{DRIVES}/{drive}/{}", below_drive(&below, 0)?));
        }
        let name = name.replace('\\', "/");
        match name.strip_prefix('/') {
            Some(below) => Ok(format!("{DRIVES}/{}/{}", self.drive, below_drive(below, 0)?)),
            None => below_drive(&name, self.depth()),
        }
    }

    /// A name as a compile that runs here finds it, wherever `/windows` is: relative to this. A slash at
    /// its end stays, which tells a directory for outputs from a file.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(crate) fn way(&self, name: &str) -> Result<String, BadPath> {
        let placed = self.placed(name)?;
        Ok(match placed.strip_prefix(DRIVES).and_then(|rest| rest.strip_prefix('/')) {
            Some(of_drive) => format!("{}{}", self.to_drives(), of_drive),
            None => placed,
        })
    }

    /// Whether a name leads over its drive, from wherever it is read.
    pub(crate) fn is_absolute(name: &str) -> bool {
        matches!(of_drive(name), Ok(Some(_))) || name.starts_with(['\\', '/'])
    }

    /// The way up from here to the directory of the drives, with a slash at its end. No name that is
    /// relative for the client begins so.
    pub(crate) fn to_drives(&self) -> String {
        "../".repeat(self.depth() + 1)
    }

    /// A way as the client would tell it.
    pub(crate) fn told(&self, way: &str) -> String {
        let over_drives = way.strip_prefix(&self.to_drives());
        let absolute = over_drives.and_then(|rest| {
            let (drive, below) = rest.split_at_checked(1)?;
            let named = drive.bytes().all(|byte| byte.is_ascii_lowercase());
            let ended = below.is_empty() || below.starts_with('/');
            let below = if below.is_empty() { "/" } else { below };
            (named && ended).then(|| format!("{}:{below}", drive.to_ascii_uppercase()))
        });
        absolute.unwrap_or_else(|| way.to_owned()).replace('/', "\\")
    }

    /// Directories between the drive and this.
    fn depth(&self) -> usize {
        let below = self.path.as_str()[DRIVES.len() + 2..].split('/');
        below.filter(|part| !part.is_empty()).count()
    }
}

/// The drive of an absolute path, in lower case, and the rest with slashes; none for another name.
fn of_drive(name: &str) -> Result<Option<(char, String)>, BadPath> {
    let mut letters = name.chars();
    let (first, second, third) = (letters.next(), letters.next(), letters.next());
    let is_slash = |letter: Option<char>| matches!(letter, Some('\\' | '/'));
    if is_slash(first) && is_slash(second) {
        return Err(BadPath::OnShare);
    }
    match (first, second) {
        (Some(drive), Some(':')) if drive.is_ascii_alphabetic() => {
            if !is_slash(third) {
                return Err(BadPath::InDriveDirectory);
            }
            Ok(Some((drive.to_ascii_lowercase(), name[3..].replace('\\', "/"))))
        }
        _ => Ok(None),
    }
}

/// The same, if it stays on its drive from so many directories below it, and names files.
fn below_drive(name: &str, depth: usize) -> Result<String, BadPath> {
    if name.contains([':', '\0']) {
        return Err(BadPath::Malformed);
    }
    let mut depth = depth;
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.checked_sub(1).ok_or(BadPath::AboveRoot)?,
            _ => depth += 1,
        }
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(text: &str) -> WindowsDir {
        WindowsDir::parse(text).expect("a directory")
    }

    #[track_caller]
    fn leads(name: &str, path: Result<&str, BadPath>, way: &str) {
        let dir = dir("C:\\src\\out");
        let walked = dir.walk(name).map(|walked| walked.path.as_str().to_owned());
        assert_eq!(walked, path.map(ToOwned::to_owned), "{name}");
        if walked.is_ok() {
            assert_eq!(dir.way(name).as_deref(), Ok(way), "{name}");
        }
    }

    #[test]
    fn names_lead_where_they_do_on_windows() {
        leads("a.cc", Ok("/windows/c/src/out/a.cc"), "a.cc");
        leads("..\\inc\\x.h", Ok("/windows/c/src/inc/x.h"), "../inc/x.h");
        leads("../inc\\x.h", Ok("/windows/c/src/inc/x.h"), "../inc/x.h");
        leads("..\\..\\x.h", Ok("/windows/c/x.h"), "../../x.h");
        leads("C:\\src\\a.cc", Ok("/windows/c/src/a.cc"), "../../../c/src/a.cc");
        leads("c:/src/../a.cc", Ok("/windows/c/a.cc"), "../../../c/src/../a.cc");
        leads("D:\\VS\\include\\", Ok("/windows/d/VS/include"), "../../../d/VS/include/");
        leads("\\VS\\x.h", Ok("/windows/c/VS/x.h"), "../../../c/VS/x.h");
        leads("E:\\", Ok("/windows/e"), "../../../e/");
    }

    #[test]
    fn what_leads_nowhere_says_why() {
        leads("..\\..\\..\\x.h", Err(BadPath::AboveRoot), "");
        leads("..\\..\\..\\c\\src\\x.h", Err(BadPath::AboveRoot), "");
        leads("C:\\..\\x.h", Err(BadPath::AboveRoot), "");
        leads("C:x.h", Err(BadPath::InDriveDirectory), "");
        leads("\\\\server\\share\\x.h", Err(BadPath::OnShare), "");
        leads("\\\\?\\C:\\x.h", Err(BadPath::OnShare), "");
        leads("x.h:stream", Err(BadPath::Malformed), "");
        leads(&"d\\".repeat(400_000), Err(BadPath::TooLong), "");
        leads(&format!("D:\\{}", "d".repeat(5000)), Err(BadPath::TooLong), "");
        leads("", Err(BadPath::Malformed), "");
        assert_eq!(WindowsDir::parse("src"), Err(BadPath::NotAbsolute));
        assert_eq!(WindowsDir::parse("/home/u"), Err(BadPath::NotAbsolute));
    }

    #[test]
    fn ways_are_told_by_the_clients_names() {
        let dir = dir("c:\\src\\out");
        for (way, name) in [
            ("../inc/x.h", "..\\inc\\x.h"),
            ("../../../c/VS/x.h", "C:\\VS\\x.h"),
            ("../../../d", "D:\\"),
            ("../../../dd/x", "..\\..\\..\\dd\\x"),
            ("./x.h", ".\\x.h"),
            ("../../../\u{e9}", "..\\..\\..\\\u{e9}"),
        ] {
            assert_eq!(dir.told(way), name);
        }
    }

    /// A name of up to seven parts, each of few kinds, so that all that matters comes often.
    fn any_name(random: &mut fastrand::Rng) -> String {
        let starts = ["", "", "", "C:\\", "d:/", "\\", "/", "C:", "\\\\", "x:y"];
        let parts = ["a", "B", "..", ".", "", "c", "d", "windows", "a:b", "\u{e9}"];
        let mut name = starts[random.usize(..starts.len())].to_owned();
        for _ in 0..random.usize(..7) {
            name.push_str(parts[random.usize(..parts.len())]);
            name.push(if random.bool() { '\\' } else { '/' });
        }
        name
    }

    /// Drive and parts, one after the other, without a thought of speed.
    fn plainly(cwd: &[&str], name: &str) -> Option<String> {
        let slashed = name.replace('\\', "/");
        let (drive, mut parts, rest) = if slashed.starts_with("//") || slashed.is_empty() {
            return None;
        } else if slashed.as_bytes().get(1) == Some(&b':') {
            (slashed[..1].to_lowercase(), vec![], slashed[2..].strip_prefix('/')?)
        } else if let Some(rest) = slashed.strip_prefix('/') {
            ("c".to_owned(), vec![], rest)
        } else {
            ("c".to_owned(), cwd.to_vec(), slashed.as_str())
        };
        for part in rest.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part if part.contains(':') => return None,
                part => parts.push(part),
            }
        }
        Some([&["", "windows", &drive], &parts[..]].concat().join("/"))
    }

    #[test]
    fn any_name_leads_where_the_plain_way_of_following_it_does() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut led = 0;
        for _ in 0..50_000 {
            let cwd = ["src", "Out", "x"];
            let depth = random.usize(..=cwd.len());
            let here = dir(&format!("C:\\{}", cwd[..depth].join("\\")));
            let name = any_name(&mut random);
            let walked = here.walk(&name).ok().map(|walked| walked.path);
            let plain = plainly(&cwd[..depth], &name);
            assert_eq!(walked.as_ref().map(AbsPath::as_str), plain.as_deref(), "{here:?} {name:?}");
            let Some(walked) = walked else { continue };
            led += 1;
            // And so does its way, which a Linux worker follows.
            let way = here.way(&name).expect("it leads somewhere");
            assert!(!way.starts_with('/') && !way.contains('\\'), "{way}");
            assert_eq!(here.path().walk(&way).map(|walked| walked.path), Ok(walked), "{name:?}");
            // Told again it is the same file.
            let told = here.walk(&here.told(&way)).map(|walked| walked.path);
            let again = here.walk(&name).map(|walked| walked.path);
            assert_eq!(told, again, "{name:?} {way}");
        }
        assert!(led > 10_000, "{led}");
    }
}
