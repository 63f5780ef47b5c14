//! The file that lists platforms, compilers and backends, in TOML; [`super::text_proto`] is the other form.
//!
//! ```toml
//! [[platform]]
//! dimensions = ["os:linux", "pool:big"]
//! backend = "big"
//! properties = { container-image = "docker://builder@sha256:..." }
//!
//! [backend.big]
//! remoteexec-addr = "big-1:443,big-2:443"
//! backend-preset = "buildbarn"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use goma_common::preset::{AbsolutePaths, OutputFields};
use goma_common::{Code, Error, Result};
use serde::{Deserialize, Deserializer, de};

use super::compiler::CompilerEntry;
use super::text_proto;
use crate::text_form::is_text_proto;
use crate::toml_error;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// Platforms, in the order in which they are tried.
    #[serde(default, rename = "platform")]
    pub platforms: Vec<PlatformEntry>,
    /// Compilers that the workers have, for clients that do not bring theirs; the first that fits.
    #[serde(default, rename = "compiler")]
    pub compilers: Vec<CompilerEntry>,
    /// Backends by name: each key is a flag, without its dashes.
    #[serde(default, rename = "backend")]
    pub backends: BTreeMap<String, toml::Table>,
    /// The file itself, to tell where something stands.
    #[serde(skip)]
    file: PathBuf,
    #[serde(skip)]
    text: String,
}

/// One kind of workers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlatformEntry {
    /// What clients may ask of them.
    pub dimensions: Vec<String>,
    /// Its backend; without one that of the flags.
    pub backend: Option<String>,
    /// Groups of `--acl-file` that they are for; none is everybody.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Platform properties of its actions.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// As the flag; without it as the backend's preset says.
    #[serde(default, deserialize_with = "value_of_flag")]
    pub absolute_paths: Option<AbsolutePaths>,
    /// As the flag; without it as the backend's preset says.
    #[serde(default, deserialize_with = "value_of_flag")]
    pub output_fields: Option<OutputFields>,
    /// Whether its compiles run each time, and no result of them is kept.
    #[serde(default)]
    pub do_not_cache: bool,
}

impl ExecConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// `InvalidArgument` naming the file, the line and what is wrong with it.
    pub fn read(file: &Path) -> Result<Self> {
        let invalid = |why: &dyn std::fmt::Display| {
            let message = format!("--exec-config-file {}: {why}", file.display());
            Error::new(Code::InvalidArgument, message)
        };
        let text = std::fs::read_to_string(file).map_err(|error| invalid(&error))?;
        let config = Self::parse(&text).map_err(|why| invalid(&why))?;
        Ok(Self { file: file.to_owned(), ..config })
    }

    /// Reads its text.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if is_text_proto(text) {
            let text_proto::Read { config, left_out } = text_proto::parse(text)?;
            left_out.iter().for_each(|what| tracing::warn!("--exec-config-file: {what}"));
            return Ok(config);
        }
        let config: Self = toml::from_str(text).map_err(|error| toml_error::told(text, &error))?;
        let config = Self { text: text.to_owned(), ..config };
        if config.platforms.is_empty() && config.compilers.is_empty() {
            return Err("it lists no [[platform]] and no [[compiler]]".to_owned());
        }
        match config.check() {
            Ok(()) => Ok(config),
            Err(Mistake { path, why }) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                Err(format!("line {}: {why}", toml_error::line_of(text, &path)))
            }
        }
    }

    /// What is wrong with a backend of the file, with its place there.
    #[must_use]
    pub fn misplaced(&self, backend: &str, error: Error) -> Error {
        let table = format!("[backend.{backend}]");
        let told = error.message.strip_prefix(&table).unwrap_or(&error.message).trim_start();
        // Mistakes in a flag begin with its name, as a key of the file or as a flag.
        let key = told.split_once(':').map_or("", |(key, _)| key.trim_start_matches("--"));
        let line = toml_error::line_of(&self.text, &["backend", backend, key]);
        let error = match error.message.starts_with(&table) {
            true => error,
            false => error.context(table),
        };
        error.context(format_args!("--exec-config-file {}: line {line}", self.file.display()))
    }

    /// What only the whole of it shows.
    fn check(&self) -> Result<(), Mistake> {
        for (compiler, at) in self.compilers.iter().zip(0..) {
            compiler.check().map_err(|(key, why)| Mistake::of("compiler", at, key, &why))?;
        }
        for (platform, at) in self.platforms.iter().zip(0..) {
            if platform.dimensions.is_empty() {
                let why = "name one at least, such as \"os:linux\"";
                return Err(Mistake::of("platform", at, "dimensions", why));
            }
            if let Some(name) = &platform.backend
                && !self.backends.contains_key(name)
            {
                let why = format!("there is no [backend.{name}]");
                return Err(Mistake::of("platform", at, "backend", &why));
            }
        }
        let is_used = |name: &String| {
            self.platforms.iter().any(|platform| platform.backend.as_ref() == Some(name))
        };
        match self.backends.keys().find(|name| !is_used(name)) {
            Some(name) => Err(Mistake {
                path: vec!["backend".to_owned(), name.clone()],
                why: format!("[backend.{name}]: no platform uses it"),
            }),
            None => Ok(()),
        }
    }
}

/// What is wrong, and at which path of keys and of places in arrays.
struct Mistake {
    path: Vec<String>,
    why: String,
}

impl Mistake {
    /// Of one of a list, which people count from 1.
    fn of(list: &str, at: usize, key: &str, why: &str) -> Self {
        let path = vec![list.to_owned(), at.to_string(), key.to_owned()];
        Self { path, why: format!("{list} {}: {key}: {why}", at + 1) }
    }
}

impl PlatformEntry {
    /// For everybody, on the flags' own backend.
    pub(super) fn of_properties(properties: BTreeMap<String, String>) -> Self {
        Self {
            dimensions: Vec::new(),
            backend: None,
            groups: Vec::new(),
            properties,
            absolute_paths: None,
            output_fields: None,
            do_not_cache: false,
        }
    }
}

fn value_of_flag<'de, T: ValueEnum, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    T::from_str(&text, false).map(Some).map_err(|_| {
        let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
        de::Error::custom(format!("{text:?} is none of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use goma_common::remote_args::RemoteArgs;

    use super::*;

    #[test]
    fn platforms_and_backends_are_read() {
        let config = ExecConfig::parse(
            "[[platform]]\n\
             dimensions = [\"os:linux\", \"pool:big\"]\n\
             backend = \"big\"\n\
             properties = { container-image = \"docker://b\", OSFamily = \"linux\" }\n\
             absolute-paths = \"property\"\n\
             [[platform]]\n\
             dimensions = [\"os:linux\"]\n\
             [backend.big]\n\
             remoteexec-addr = \"a:1,b:1\"\n",
        )
        .expect("it is right");
        let [big, small] = config.platforms.as_slice() else { panic!("{config:?}") };
        assert_eq!(big.dimensions, ["os:linux", "pool:big"]);
        assert_eq!(big.properties["OSFamily"], "linux");
        assert_eq!(big.absolute_paths, Some(AbsolutePaths::Property));
        assert_eq!((big.output_fields, small.backend.as_deref()), (None, None));
        assert_eq!(config.backends["big"]["remoteexec-addr"].as_str(), Some("a:1,b:1"));
    }

    #[test]
    fn a_mistake_in_a_backend_is_told_where_it_stands() {
        let read = |lines: &str| {
            let text = format!(
                "[[platform]]\ndimensions = [\"a\"]\nbackend = \"b\"\n[backend.b]\n\
                 remoteexec-addr = \"farm:1\"\n{lines}\n"
            );
            ExecConfig::parse(&text).expect("it is well formed")
        };
        for (lines, told) in [
            ("\nremote-exec = \"x\"", "line 7: [backend.b] remote-exec: "),
            ("backend-preset = \"hunter2\"", "line 6: [backend.b] backend-preset: "),
        ] {
            let config = read(lines);
            let error = super::super::entry::<RemoteArgs>("b", &config.backends["b"]);
            let error = config.misplaced("b", error.expect_err("wrong"));
            assert!(error.message.contains(told) && !error.message.contains("hunter2"), "{error}");
        }
        let error = Error::new(Code::InvalidArgument, "--remote-tls-ca: there is no such file");
        let error = read("remote-tls-ca = \"x\"").misplaced("b", error);
        assert!(error.message.contains("line 6: [backend.b]: --remote-tls-ca"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("", "no [[platform]]"),
            ("[[platform]]\ndimensions = []", "line 2: platform 1: dimensions: "),
            ("[[compiler]]\nname = \"gcc\"\npath = \"gcc\"", "line 3: compiler 1: path: "),
            ("[[compiler]]\npath = \"/gcc\"\nname = \"\"", "line 3: compiler 1: name: "),
            ("[[platform]]\ndimension = [\"a\"]", "line 2: unknown field `dimension`"),
            (
                "[[platform]]\ndimensions = [\"a\"]\nbackend = \"b\"",
                "line 3: platform 1: backend: ",
            ),
            (
                "[[platform]]\ndimensions = [\"a\"]\nabsolute-paths = \"no\"",
                "line 3: \"no\" is none of property, chroot, rewrite, refuse",
            ),
            ("[[platform]]\ndimensions = [\"a\"]\n[backend.b]", "line 3: [backend.b]: no platform"),
            ("[[platform]]\n\ndimensions = hunter2", "line 3: "),
        ];
        for (text, why) in cases {
            let told = ExecConfig::parse(text).expect_err("wrong");
            assert!(told.contains(why) && !told.contains("hunter2"), "{told}, not {why}");
        }
    }
}
