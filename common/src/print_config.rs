//! What a program's flags come down to, and where each value came from: for whoever asks why it does
//! what it does.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Parser};

/// A value that follows from another flag where its own is not given.
pub struct Derived {
    /// The flag, without dashes.
    pub flag: &'static str,
    /// Its value.
    pub value: String,
    /// What it follows from.
    pub from: String,
}

/// The program's command line; where `--print-config` is among it, prints what it comes down to and
/// ends the process. `derived` is what follows from other flags.
pub fn parse<C: Parser>(
    line: impl IntoIterator<Item = String>,
    is_asked: impl FnOnce(&C) -> bool,
    derived: impl FnOnce(&C) -> Vec<Derived>,
) -> C {
    let command = C::command();
    let matches = command.clone().get_matches_from(line);
    let cli = C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if is_asked(&cli) {
        print!("{}", table(&command, &matches, &derived(&cli)));
        std::process::exit(0);
    }
    cli
}

/// A line a flag: its value, and whether that came from the command line, the environment, a preset or
/// the default. Secrets are not shown.
#[must_use]
pub fn table(command: &Command, matches: &ArgMatches, derived: &[Derived]) -> String {
    let mut text = String::new();
    for arg in command.get_arguments() {
        let Some(flag) = arg.get_long() else { continue };
        if arg.is_hide_set() || ["help", "version", "print-config"].contains(&flag) {
            continue;
        }
        let follows = derived.iter().find(|derived| derived.flag == flag);
        let (value, from) = match (given(arg, matches), follows) {
            ((value, Some(from)), _) => (value, from),
            (_, Some(derived)) => (derived.value.clone(), derived.from.clone()),
            ((value, None), None) => (value, "default".to_owned()),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "--{flag:<30} {value:<40} {from}");
    }
    text
}

/// The value, and where it came from if it was given.
fn given(arg: &Arg, matches: &ArgMatches) -> (String, Option<String>) {
    let id = arg.get_id().as_str();
    let from = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Some("command line".to_owned()),
        Some(ValueSource::EnvVariable) => {
            let name = arg.get_env().unwrap_or_default().to_string_lossy();
            Some(format!("environment, {name}"))
        }
        _ => None,
    };
    let values: Vec<_> = matches.get_raw(id).into_iter().flatten().collect();
    let value = match values.is_empty() {
        true => "-".to_owned(),
        false if arg.is_hide_env_values_set() => "(secret)".to_owned(),
        false => {
            let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            let value = values.join(",");
            // A URL with a name and a password in it.
            if value.contains("://") && value.contains('@') { "(secret)".to_owned() } else { value }
        }
    };
    (value, from)
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;
    use crate::remote_args::RemoteArgs;

    #[test]
    fn each_value_is_shown_with_where_it_came_from_and_no_secret_is() {
        let command = RemoteArgs::augment_args(Command::new("x"));
        let line =
            "x --remoteexec-addr farm:1 --backend-preset nativelink --remote-header k=hunter2";
        let matches = command.clone().get_matches_from(line.split(' '));
        let args = RemoteArgs::from_arg_matches(&matches).expect("flags");
        let text = table(&command, &matches, &args.derived());
        let line = |flag: &str| {
            let found = text.lines().find(|line| line.starts_with(&format!("--{flag} ")));
            let words: Vec<_> = found.expect("a line").split_whitespace().skip(1).collect();
            words.join(" ")
        };
        assert_eq!(line("remoteexec-addr"), "farm:1 command line");
        assert_eq!(line("backend-batch-bytes"), "65536 preset nativelink");
        assert_eq!(line("exec-max-retry-count"), "5 default");
        assert_eq!(line("remote-header"), "(secret) command line");
        assert!(!text.contains("hunter2"));
    }
}
