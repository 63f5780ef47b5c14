//! What is known of each kind of backend beforehand: a row for each, every value of which has a flag.
//!
//! Only what is said here and by flags shapes an action, never what a backend says at run time: equal
//! requests must give equal actions on every gateway.

use clap::ValueEnum;

/// What to do with a compile whose result holds the directory that it ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AbsolutePaths {
    /// The backend lays the inputs out where the client has them, told by the platform property
    /// `InputRootAbsolutePath`.
    Property,
    /// The backend makes the input root the `/` of the command, so the tree holds the whole path.
    Chroot,
    /// Whatever the backend does: compilers are told to write the client's paths for the worker's, and
    /// what they write is edited where they cannot be told.
    Rewrite,
    /// The client compiles it by itself, and is told why.
    Refuse,
}

/// The fields by which outputs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFields {
    /// `output_paths`, of API 2.1
    Paths,
    /// `output_paths`, and `output_files` for servers that know no other
    Both,
}

/// A kind of backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Nothing is known: no property but those given
    #[default]
    Generic,
    /// NativeLink
    Nativelink,
    /// Buildbarn: its workers take actions that name exactly their own properties
    Buildbarn,
    /// BuildBuddy
    Buildbuddy,
    /// BuildGrid with BuildBox workers
    Buildgrid,
    /// Buildfarm
    Buildfarm,
    /// Google's Remote Build Execution
    Rbe,
    /// EngFlow
    Engflow,
    /// buildbox-casd alone
    Casd,
}

/// What follows from a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Value of the property `OSFamily`, where its schedulers expect one.
    pub os_family: Option<&'static str>,
    /// What it does with the place of the input root.
    pub absolute_paths: AbsolutePaths,
    /// Bytes that it takes in one batch, where that is less than it says or than gRPC's 4 MiB.
    pub batch_bytes: Option<u64>,
    /// How it is asked for outputs.
    pub output_fields: OutputFields,
}

impl Preset {
    /// As the flag has it.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The row of a kind. From the servers' documents and examples; of casd and NativeLink as seen.
    #[must_use]
    pub fn traits(self) -> Traits {
        let generic = Traits {
            os_family: None,
            absolute_paths: AbsolutePaths::Rewrite,
            batch_bytes: None,
            output_fields: OutputFields::Paths,
        };
        match self {
            Self::Generic | Self::Engflow => generic,
            // Its example configuration has InputRootAbsolutePath as a property to be ignored.
            Self::Nativelink => Traits { batch_bytes: Some(64 << 10), ..generic },
            Self::Buildbarn | Self::Buildbuddy => Traits { os_family: Some("Linux"), ..generic },
            Self::Buildgrid => {
                Traits { os_family: Some("linux"), batch_bytes: Some(4_193_280), ..generic }
            }
            Self::Buildfarm => Traits { output_fields: OutputFields::Both, ..generic },
            Self::Rbe => Traits {
                os_family: Some("Linux"),
                absolute_paths: AbsolutePaths::Property,
                output_fields: OutputFields::Both,
                ..generic
            },
            // The input root is the `/` of its sandbox.
            Self::Casd => Traits { absolute_paths: AbsolutePaths::Chroot, ..generic },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_takes_more_than_grpc_does() {
        for preset in Preset::value_variants() {
            let bytes = preset.traits().batch_bytes.unwrap_or(0);
            assert!(bytes <= crate::reapi::limits::MAX_MESSAGE, "{preset:?}");
        }
    }
}
