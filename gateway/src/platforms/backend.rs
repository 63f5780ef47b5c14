//! A backend in the file: the same flags as on a command line, as keys.

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use goma_common::{Code, Error, Result};
use toml::{Table, Value};

/// Reads the entry of a backend as the flags of `T`. The environment says nothing here: what it says is
/// meant for the program's own backend, its credentials above all.
///
/// # Errors
/// `InvalidArgument` naming the backend and the key, without its value.
pub fn entry<T: Args>(name: &str, table: &Table) -> Result<T> {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Flags<T: Args> {
        #[command(flatten)]
        flags: T,
    }
    let invalid = |key: &str, why: &str| {
        Error::new(Code::InvalidArgument, format!("[backend.{name}] {key}: {why}"))
    };
    let command = Flags::<T>::command().mut_args(|flag| flag.env(clap::builder::Resettable::Reset));
    let mut line = Vec::new();
    for (key, value) in table {
        if !command.get_arguments().any(|flag| flag.get_long() == Some(key)) {
            return Err(invalid(key, "there is no such flag of a backend"));
        }
        let words = words(value).ok_or_else(|| invalid(key, "no value of a flag"))?;
        line.extend(words.into_iter().map(|word| match word {
            Some(word) => format!("--{key}={word}"),
            None => format!("--{key}"),
        }));
    }
    let parsed = command.try_get_matches_from(line).and_then(|matches| {
        let parsed = Flags::<T>::from_arg_matches(&matches)?;
        Ok(parsed.flags)
    });
    parsed.map_err(|error| {
        // It tells the flag as `--key <VALUE>`; the value itself may be a secret.
        let flag = error.get(clap::error::ContextKind::InvalidArg).map(ToString::to_string);
        let flag = flag.unwrap_or_default();
        let key = flag.trim_start_matches("--").split([' ', '=']).next();
        invalid(key.unwrap_or_default(), &error.kind().to_string())
    })
}

/// The values of a flag, once for each time that it is given; `None` within for one without a value.
fn words(value: &Value) -> Option<Vec<Option<String>>> {
    Some(match value {
        Value::Boolean(true) => vec![None],
        Value::Boolean(false) => Vec::new(),
        Value::String(text) => vec![Some(text.clone())],
        Value::Integer(number) => vec![Some(number.to_string())],
        Value::Array(values) => {
            let mut all = Vec::new();
            for value in values {
                all.push(Some(value.as_str()?.to_owned()));
            }
            all
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use goma_common::preset::Preset;
    use goma_common::remote_args::RemoteArgs;

    use super::*;

    fn parse(text: &str) -> Result<RemoteArgs> {
        entry("big", &text.parse().expect("TOML"))
    }

    #[test]
    fn keys_are_flags() {
        let remote = parse(
            "remoteexec-addr = \"a:1,b:1\"\n\
             remote-instance-name = \"x/y\"\n\
             backend-preset = \"nativelink\"\n\
             insecure-remoteexec = true\n\
             remote-insecure-credentials = true\n\
             remote-streams = 7\n\
             remote-header = [\"a=b\", \"c=d\"]\n",
        )
        .expect("it is right");
        assert_eq!(remote.addresses().expect("two"), ["a:1", "b:1"]);
        assert_eq!(remote.remote_instance_name, "x/y");
        assert_eq!(remote.backend_preset, Preset::Nativelink);
        assert_eq!(remote.connections.remote_streams, 7);
        assert_eq!(remote.credentials.remote_header.len(), 2);
        assert!(remote.config().expect("it can be meant").tls.is_none());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key_and_not_its_value() {
        for (text, key) in [
            ("remote-exec-addr = \"hunter2\"", "remote-exec-addr"),
            ("backend-preset = \"hunter2\"", "backend-preset"),
            ("remoteexec-addr = \"h:1\"\nremote-header = \"hunter2\"", "remote-header"),
            ("remote-streams = 1.5", "remote-streams"),
            ("remote-client-key = \"k\"", "remote-client"),
        ] {
            let read = parse(text).and_then(|remote| remote.config());
            let error = read.map(drop).expect_err("wrong");
            assert!(error.message.contains(key) && !error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_environment_says_nothing_of_it() {
        let flags = <RemoteFlags as CommandFactory>::command();
        assert!(
            flags.get_arguments().any(|flag| flag.get_env().is_some()),
            "else there is no need"
        );
        let reset = flags.mut_args(|flag| flag.env(clap::builder::Resettable::Reset));
        assert!(reset.get_arguments().all(|flag| flag.get_env().is_none()));
    }

    #[derive(Parser)]
    struct RemoteFlags {
        #[command(flatten)]
        _remote: RemoteArgs,
    }
}
