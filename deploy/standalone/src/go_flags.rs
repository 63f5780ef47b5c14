//! Flags as Go programs take them: `-port 5050` is `--port 5050`.
//!
//! Scripts that start the original server go on working.

/// Gives long flags with one dash their second. What follows `--` stays as it is.
pub fn respell(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut flags = true;
    args.enumerate()
        .map(|(at, arg)| {
            if arg == "--" {
                flags = false;
            }
            if at > 0 && flags && is_long(&arg) { format!("-{arg}") } else { arg }
        })
        .collect()
}

/// One dash and a name of two letters or more; clap's own short flags have one.
fn is_long(arg: &str) -> bool {
    let Some(name) = arg.strip_prefix('-') else { return false };
    name.len() > 1 && name.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_becomes_two_and_nothing_else_changes() {
        let args =
            ["x", "-port", "5050", "--listen=::1", "-h", "-5", "-insecure=true", "--", "-port"];
        let respelt = respell(args.iter().map(|arg| (*arg).to_owned()));
        assert_eq!(
            respelt,
            ["x", "--port", "5050", "--listen=::1", "-h", "-5", "--insecure=true", "--", "-port"]
        );
    }
}
