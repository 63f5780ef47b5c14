//! The flags of a gateway that say how compiles are served: what a [`GatewayConfig`] follows from.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use goma_common::preset::{AbsolutePaths, OutputFields, Traits};
use humantime::parse_duration;

use crate::config::{GatewayConfig, Timeouts};
use crate::platforms::PlatformEntry;

/// The platform property that says which system a worker runs.
const OS_FAMILY: &str = "OSFamily";

/// The part of the flags that a [`GatewayConfig`] follows from.
#[derive(Clone, Debug, Args)]
pub(crate) struct SettingArgs {
    #[command(flatten)]
    compiles: CompileArgs,
    #[command(flatten)]
    timeouts: TimeoutArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Compiles")]
struct CompileArgs {
    /// Container image of the workers, docker://...@sha256:...
    #[arg(
        long,
        env = "GOMA_GATEWAY_PLATFORM_CONTAINER_IMAGE",
        default_value = "",
        value_name = "IMAGE"
    )]
    platform_container_image: String,
    /// Another platform property, NAME=VALUE; may be repeated, in the environment one a line. OSFamily=
    /// leaves out the one of the preset
    #[arg(long, env = "GOMA_GATEWAY_PLATFORM_PROPERTY", value_delimiter = '\n', value_name = "NAME=VALUE", value_parser = pair)]
    platform_property: Vec<(String, String)>,
    /// How compiles whose result holds absolute paths are met [default: property with an embedded
    /// backend in a sandbox, rewrite with one that has none, else the preset's]
    #[arg(long, env = "GOMA_GATEWAY_ABSOLUTE_PATHS", value_enum)]
    absolute_paths: Option<AbsolutePaths>,
    /// The fields by which outputs are asked for [default: the preset's]
    #[arg(long, env = "GOMA_GATEWAY_OUTPUT_FIELDS", value_enum)]
    output_fields: Option<OutputFields>,
    /// File of platforms by the dimensions that clients ask for, and of compilers that workers have for
    /// clients that do not bring theirs. In TOML, where a platform may have a backend of its own, or in
    /// the original server's text proto. The flags say which backend holds the clients' files, and is
    /// used where none is asked for
    #[arg(long, env = "GOMA_GATEWAY_EXEC_CONFIG_FILE", value_name = "FILE")]
    exec_config_file: Option<PathBuf>,
    /// File of what flags of compilers mean, in TOML, over what is known here; read again when it
    /// changes. A flag that nobody knows makes its compile one that names its directory
    #[arg(long, env = "GOMA_GATEWAY_FLAGS_FILE", value_name = "FILE")]
    flags_file: Option<PathBuf>,
    /// Most inputs named in one missing_input answer, beside half of the request's; 0 is no limit
    #[arg(
        long,
        env = "GOMA_GATEWAY_EXEC_MISSING_INPUT_LIMIT",
        default_value_t = 0,
        value_name = "N"
    )]
    exec_missing_input_limit: usize,
}

/// The original's timeouts, by its names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Timeouts")]
struct TimeoutArgs {
    /// Storing and looking up the inputs of a compile
    #[arg(long, env = "GOMA_GATEWAY_EXEC_INPUT_TREE_TIMEOUT", default_value = "2m", value_parser = parse_duration, value_name = "TIME", visible_alias = "exec-upload-blobs-timeout")]
    exec_input_tree_timeout: Duration,
    /// Asking the action cache
    #[arg(long, env = "GOMA_GATEWAY_EXEC_CHECK_CACHE_TIMEOUT", default_value = "10s", value_parser = parse_duration, value_name = "TIME")]
    exec_check_cache_timeout: Duration,
    /// Waiting for a compile; the client itself waits 610 s
    #[arg(long, env = "GOMA_GATEWAY_EXEC_EXECUTE_TIMEOUT", default_value = "590s", value_parser = parse_duration, value_name = "TIME")]
    exec_execute_timeout: Duration,
    /// Reading the outputs of a compile
    #[arg(long, env = "GOMA_GATEWAY_EXEC_RESPONSE_TIMEOUT", default_value = "2m", value_parser = parse_duration, value_name = "TIME")]
    exec_response_timeout: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Bytes of request bodies held at once; further requests wait
    #[arg(long, env = "GOMA_GATEWAY_MAX_INFLIGHT_BYTES", default_value_t = 1 << 30, value_name = "BYTES")]
    max_inflight_bytes: usize,
    /// Bytes of files in answers at once, fetched or not yet read by their clients; further ones wait
    #[arg(long, env = "GOMA_GATEWAY_MAX_ANSWER_BYTES", default_value_t = 512 << 20, value_name = "BYTES")]
    max_answer_bytes: usize,
    /// Bytes of compressed answers kept for others who get the same; 0 compresses each anew
    #[arg(long, env = "GOMA_GATEWAY_MAX_PACKED_BYTES", default_value_t = 64 << 20, value_name = "BYTES")]
    max_packed_bytes: usize,
    /// Bytes of outputs kept for others who compile the same; 0 reads them out of the CAS each time
    #[arg(long, env = "GOMA_GATEWAY_MAX_KEPT_OUTPUT_BYTES", default_value_t = 64 << 20, value_name = "BYTES")]
    max_kept_output_bytes: usize,
    /// Requests of one user served at once, where users are told apart; more of his wait, and take no
    /// room from others
    #[arg(long, env = "GOMA_GATEWAY_MAX_USER_REQUESTS", default_value_t = 1024, value_name = "N")]
    max_user_requests: usize,
    /// Outputs up to this size are inside the answer
    #[arg(long, env = "GOMA_GATEWAY_MAX_INLINE_OUTPUT", default_value_t = 16 << 20, value_name = "BYTES")]
    max_inline_output: u64,
}

impl SettingArgs {
    /// The file of platforms and compilers.
    pub(crate) fn exec_config_file(&self) -> Option<&Path> {
        self.compiles.exec_config_file.as_deref()
    }

    /// The file of what flags mean.
    pub(crate) fn flags_file(&self) -> Option<&Path> {
        self.compiles.flags_file.as_deref()
    }

    /// The settings of a platform of the file, whose backend is like that. Flags that say what an
    /// action is like are for the flags' own platform.
    pub(crate) fn platform_config(
        &self,
        traits: &Traits,
        platform: &PlatformEntry,
    ) -> GatewayConfig {
        let properties = platform.properties.clone().into_iter().collect();
        GatewayConfig {
            platform_properties: with_os_family(properties, traits),
            absolute_paths: platform.absolute_paths.unwrap_or(traits.absolute_paths),
            output_fields: platform.output_fields.unwrap_or(traits.output_fields),
            ..self.config(traits)
        }
    }

    pub(crate) fn config(&self, traits: &Traits) -> GatewayConfig {
        let mut platform_properties = self.compiles.platform_property.clone();
        let image = &self.compiles.platform_container_image;
        if !image.is_empty() {
            platform_properties.push(("container-image".to_owned(), image.clone()));
        }
        GatewayConfig {
            platform_properties: with_os_family(platform_properties, traits),
            compilers: Arc::default(),
            absolute_paths: self.compiles.absolute_paths.unwrap_or(traits.absolute_paths),
            output_fields: self.compiles.output_fields.unwrap_or(traits.output_fields),
            missing_input_limit: self.compiles.exec_missing_input_limit,
            timeouts: Timeouts {
                inputs: self.timeouts.exec_input_tree_timeout,
                cached: self.timeouts.exec_check_cache_timeout,
                execute: self.timeouts.exec_execute_timeout,
                outputs: self.timeouts.exec_response_timeout,
                ..Timeouts::default()
            },
            max_inflight_bytes: self.limits.max_inflight_bytes,
            max_answer_bytes: self.limits.max_answer_bytes,
            max_packed_bytes: self.limits.max_packed_bytes,
            max_kept_output_bytes: self.limits.max_kept_output_bytes,
            max_user_requests: self.limits.max_user_requests,
            max_inline_output: self.limits.max_inline_output,
            ..GatewayConfig::default()
        }
    }
}

/// With the system of a backend's preset, unless it is given; an empty one leaves it out.
fn with_os_family(mut properties: Vec<(String, String)>, traits: &Traits) -> Vec<(String, String)> {
    if let Some(family) = traits.os_family {
        match properties.iter().position(|(name, _)| name == OS_FAMILY) {
            Some(given) if properties[given].1.is_empty() => {
                properties.remove(given);
            }
            Some(_) => {}
            None => properties.push((OS_FAMILY.to_owned(), family.to_owned())),
        }
    }
    properties
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
