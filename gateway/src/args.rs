//! The flags of a gateway, wherever it runs: `remoteexec_proxy` has the same.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use goma_common::program::Failure;
use humantime::parse_duration;

use crate::config::{AbsolutePaths, GatewayConfig, Timeouts};

/// What an operator decides about a gateway. Flags of the original keep their names.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    compiles: CompileArgs,
    #[command(flatten)]
    timeouts: TimeoutArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Everybody who can connect
    None,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// Who is let in; `none` on loopback only
    #[arg(long, env = "GOMA_GATEWAY_AUTH", value_enum, default_value_t = Auth::None)]
    auth: Auth,
}

#[derive(Debug, Args)]
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
    /// Another platform property, NAME=VALUE; may be repeated, in the environment one a line
    #[arg(long, env = "GOMA_GATEWAY_PLATFORM_PROPERTY", value_delimiter = '\n', value_name = "NAME=VALUE", value_parser = pair)]
    platform_property: Vec<(String, String)>,
    /// How compiles whose result holds absolute paths are met [default: property with an embedded
    /// backend in a sandbox, else refuse]
    #[arg(long, env = "GOMA_GATEWAY_ABSOLUTE_PATHS", value_enum)]
    absolute_paths: Option<AbsolutePaths>,
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
#[derive(Debug, Args)]
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Bytes of request bodies held at once; further requests wait
    #[arg(long, env = "GOMA_GATEWAY_MAX_INFLIGHT_BYTES", default_value_t = 1 << 30, value_name = "BYTES")]
    max_inflight_bytes: usize,
    /// Outputs up to this size are inside the answer
    #[arg(long, env = "GOMA_GATEWAY_MAX_INLINE_OUTPUT", default_value_t = 16 << 20, value_name = "BYTES")]
    max_inline_output: u64,
}

impl GatewayArgs {
    /// Refuses to let in whom nobody has named.
    ///
    /// # Errors
    /// Naming the flag.
    pub fn check(&self, listen: IpAddr) -> Result<(), Failure> {
        if !listen.is_loopback() && self.access.auth == Auth::None {
            return Err(Failure::Configuration(format!(
                "--listen {listen}: with --auth none everybody who can connect may compile here, \
                 so only a loopback address is taken"
            )));
        }
        Ok(())
    }

    /// The settings. `absolute_paths` is what the backend can do where no flag says it.
    #[must_use]
    pub fn config(&self, absolute_paths: AbsolutePaths) -> GatewayConfig {
        let mut platform_properties = self.compiles.platform_property.clone();
        let image = &self.compiles.platform_container_image;
        if !image.is_empty() {
            platform_properties.push(("container-image".to_owned(), image.clone()));
        }
        GatewayConfig {
            platform_properties,
            absolute_paths: self.compiles.absolute_paths.unwrap_or(absolute_paths),
            missing_input_limit: self.compiles.exec_missing_input_limit,
            timeouts: Timeouts {
                inputs: self.timeouts.exec_input_tree_timeout,
                cached: self.timeouts.exec_check_cache_timeout,
                execute: self.timeouts.exec_execute_timeout,
                outputs: self.timeouts.exec_response_timeout,
                ..Timeouts::default()
            },
            max_inflight_bytes: self.limits.max_inflight_bytes,
            max_inline_output: self.limits.max_inline_output,
            ..GatewayConfig::default()
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        gateway: GatewayArgs,
    }

    fn parse(line: &str) -> GatewayArgs {
        Flags::try_parse_from(line.split(' ')).expect("parses").gateway
    }

    #[test]
    fn flags_become_settings() {
        let args = parse(
            "x --platform-property a=b=c,d --platform-property e= --platform-container-image i \
             --exec-execute-timeout 1m30s --max-inline-output 5",
        );
        let config = args.config(AbsolutePaths::Property);
        let properties: Vec<String> = config
            .platform_properties
            .iter()
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        assert_eq!(properties, ["a:b=c,d", "e:", "container-image:i"]);
        assert_eq!(config.absolute_paths, AbsolutePaths::Property);
        assert_eq!(config.timeouts.execute, Duration::from_secs(90));
        assert_eq!(config.timeouts.action, Timeouts::default().action);
        assert_eq!(config.max_inline_output, 5);
        let said = parse("x --absolute-paths chroot").config(AbsolutePaths::Refuse);
        assert_eq!(said.absolute_paths, AbsolutePaths::Chroot);
    }

    #[test]
    fn everybody_is_let_in_on_loopback_only() {
        let args = parse("x");
        for (address, taken) in [("127.0.0.1", true), ("::1", true), ("0.0.0.0", false)] {
            let checked = args.check(address.parse().expect("an address"));
            assert_eq!(checked.is_ok(), taken, "{address}");
        }
    }
}
