//! Paths inside of an input root, as a client writes them.

use goma_common::{Code, Error, Result};

/// The parts of `path` seen from `base`, both below the root; the root itself has none.
///
/// # Errors
/// `InvalidArgument` when it is absolute or leads out of the root.
pub(super) fn resolve<'a>(what: &str, base: &[&'a str], path: &'a str) -> Result<Vec<&'a str>> {
    let mut parts = base.to_vec();
    if path.is_empty() {
        return Ok(parts);
    }
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_some() => {}
            part => {
                name(what, part).map_err(|error| error.context(format_args!("path {path:?}")))?;
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

/// Checks the name of one entry of a directory.
///
/// # Errors
/// `InvalidArgument` when it is none.
pub(super) fn name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::new(Code::InvalidArgument, format!("{what}: bad name {name:?}")));
    }
    if name.len() > 255 {
        return Err(Error::new(Code::InvalidArgument, format!("{what}: name too long")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(resolve("x", &["w"], "a/b.c").expect("a path"), ["w", "a", "b.c"]);
        assert_eq!(resolve("x", &["w"], "../b/./c").expect("a path"), ["b", "c"]);
        assert_eq!(resolve("x", &["w"], "").expect("the base"), ["w"]);
        for bad in ["/a", "a/", "a//b", "..", "a/../../b", "a\0b"] {
            assert!(resolve("x", &[], bad).is_err(), "{bad}");
        }
    }
}
