//! The flags of a gateway, wherever it runs: `remoteexec_proxy` has the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use goma_common::admin::{Admin, AdminArgs};
use goma_common::preset::{AbsolutePaths, OutputFields, Traits};
use goma_common::print_config::Derived;
use goma_common::program::Failure;
use goma_common::reloaded::Reloaded;
use goma_common::remote_args::RemoteArgs;
use goma_common::tls::ServerTlsArgs;
use humantime::parse_duration;
use toml::Table;

use crate::config::{GatewayConfig, Timeouts};
use crate::identity::{Identity, IdentityArgs, Shown};
use crate::peer::PeerArgs;
use crate::place::Place;
use crate::platforms::{ExecConfig, Inventory, PlatformEntry};
use crate::server::Port;

/// The port for operators, where no other is named.
const ADMIN: u16 = 9190;
/// The platform property that says which system a worker runs.
const OS_FAMILY: &str = "OSFamily";

/// What an operator decides about a gateway. Flags of the original keep their names.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    access: IdentityArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    tls: ServerTlsArgs,
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

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
    /// Requests of one user served at once, where users are told apart; more of his wait, and take no
    /// room from others
    #[arg(long, env = "GOMA_GATEWAY_MAX_USER_REQUESTS", default_value_t = 1024, value_name = "N")]
    max_user_requests: usize,
    /// Outputs up to this size are inside the answer
    #[arg(long, env = "GOMA_GATEWAY_MAX_INLINE_OUTPUT", default_value_t = 16 << 20, value_name = "BYTES")]
    max_inline_output: u64,
}

impl GatewayArgs {
    /// How requests at this address are identified, with that backend. Reads files.
    ///
    /// # Errors
    /// Naming the flag, and where nobody was named who is let in.
    pub fn identity(&self, listen: IpAddr, remote: &RemoteArgs) -> Result<Identity, Failure> {
        let certificates = self.tls.takes_certificates();
        let shown = Shown { certificates, users: self.peer.name_users() };
        self.access.identity(listen, shown, remote)
    }

    /// How connections to our port begin. Reads files.
    ///
    /// # Errors
    /// Naming the flag and the file that is wrong.
    pub fn port(&self) -> Result<Port, Failure> {
        let tls = self.tls.open(&["h2", "http/1.1"]).map_err(Failure::configuration)?;
        Ok(Port { tls, proxies: Arc::new(self.peer.proxies()?) })
    }

    /// The port for operators.
    ///
    /// # Errors
    /// When the address that was asked for cannot be bound.
    pub async fn admin(&self) -> Result<Admin, Failure> {
        Admin::bind(&self.admin, SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN))).await
    }

    /// What follows from the backend's preset, for whoever prints the configuration.
    #[must_use]
    pub fn derived(&self, remote: &RemoteArgs) -> Vec<Derived> {
        let config = self.config(&remote.traits());
        let spelled = |value: Option<clap::builder::PossibleValue>| {
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let properties = config.platform_properties.iter();
        let properties: Vec<_> =
            properties.map(|(name, value)| format!("{name}={value}")).collect();
        let mut derived = remote.derived();
        derived.extend([
            remote.derive("absolute-paths", spelled(config.absolute_paths.to_possible_value())),
            remote.derive("output-fields", spelled(config.output_fields.to_possible_value())),
        ]);
        if !properties.is_empty() {
            derived.push(remote.derive("platform-property", properties.join(",")));
        }
        derived
    }

    /// The platforms of the file, if there is one.
    ///
    /// # Errors
    /// Naming the file and the line.
    pub fn exec_config(&self) -> Result<Option<ExecConfig>, Failure> {
        let file = self.settings.compiles.exec_config_file.as_ref();
        file.map(|file| ExecConfig::read(file)).transpose().map_err(Failure::configuration)
    }

    /// What the file says, where that is, read again when it changes. `own` is what the flags' backend
    /// is like; `open` makes the place of another, once for each that is new or is told otherwise.
    ///
    /// # Errors
    /// Naming the file and the line, or the backend.
    pub fn inventory(
        &self,
        own: Traits,
        open: impl Fn(&str, &Table) -> goma_common::Result<(Place, Traits)> + Send + Sync + 'static,
    ) -> Result<Option<Reloaded<Inventory>>, Failure> {
        let Some(file) = self.settings.compiles.exec_config_file.clone() else { return Ok(None) };
        let settings = self.settings.clone();
        let read = move |before: Option<&Inventory>| {
            Inventory::read(&file, before, &settings, &own, &open)
        };
        let files = self.settings.compiles.exec_config_file.iter().cloned().collect();
        Reloaded::open_after(files, read).map(Some).map_err(Failure::configuration)
    }

    /// The settings. `traits` are what the backend is like where no flag says it.
    #[must_use]
    pub fn config(&self, traits: &Traits) -> GatewayConfig {
        self.settings.config(traits)
    }

    /// The settings of a platform of the file, whose backend is like that.
    #[must_use]
    pub(crate) fn platform_config(
        &self,
        traits: &Traits,
        platform: &PlatformEntry,
    ) -> GatewayConfig {
        self.settings.platform_config(traits, platform)
    }
}

impl SettingArgs {
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

    fn config(&self, traits: &Traits) -> GatewayConfig {
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use goma_common::preset::Preset;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        gateway: GatewayArgs,
    }

    fn traits(absolute_paths: AbsolutePaths) -> Traits {
        Traits { absolute_paths, ..Preset::Generic.traits() }
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
        let config = args.config(&traits(AbsolutePaths::Property));
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
        let said = parse("x --absolute-paths chroot").config(&traits(AbsolutePaths::Refuse));
        assert_eq!(said.absolute_paths, AbsolutePaths::Chroot);
    }

    #[test]
    fn a_preset_says_what_no_flag_does() {
        let rbe = Preset::Rbe.traits();
        let config = parse("x").config(&rbe);
        assert_eq!(config.platform_properties, [("OSFamily".to_owned(), "Linux".to_owned())]);
        assert_eq!(config.absolute_paths, AbsolutePaths::Property);
        assert_eq!(config.output_fields, OutputFields::Both);
        let config =
            parse("x --platform-property OSFamily=linux --output-fields paths").config(&rbe);
        assert_eq!(config.platform_properties, [("OSFamily".to_owned(), "linux".to_owned())]);
        assert_eq!(config.output_fields, OutputFields::Paths);
        let config = parse("x --platform-property OSFamily=").config(&rbe);
        assert_eq!(config.platform_properties, []);
    }

    #[test]
    fn nobody_is_let_in_from_elsewhere_who_was_not_named() {
        #[derive(Parser)]
        struct Remote {
            #[command(flatten)]
            remote: RemoteArgs,
        }
        let Remote { remote } = Remote::try_parse_from(["x"]).expect("parses");
        for (line, address, taken) in [
            ("x", "127.0.0.1", true),
            ("x", "::1", true),
            ("x", "0.0.0.0", false),
            ("x --auth none", "0.0.0.0", false),
            ("x --allow-anybody", "0.0.0.0", true),
            ("x --allowed-users a@b", "0.0.0.0", true),
            ("x --whitelisted-users a@b,*@c", "127.0.0.1", true),
            ("x --auth none,google --allowed-users a@b", "127.0.0.1", false),
            ("x --auth tokens", "127.0.0.1", false),
            ("x --auth-token-file /no/such", "127.0.0.1", false),
            ("x --acl-file /no/such", "127.0.0.1", false),
            ("x --auth certificates", "127.0.0.1", false),
            ("x --auth proxies --allowed-users a@b", "127.0.0.1", false),
            ("x --trusted-proxies 10.0.0.0/8 --proxy-user-header x", "0.0.0.0", false),
            (
                "x --trusted-proxies 10.0.0.1 --proxy-user-header x --allowed-users a@b",
                "0.0.0.0",
                true,
            ),
            ("x --trusted-proxies 10.0.0.0/8", "0.0.0.0", false),
            ("x --tenancy", "127.0.0.1", false),
            ("x --tenancy --allowed-users a@b", "127.0.0.1", true),
        ] {
            let identity = parse(line).identity(address.parse().expect("an address"), &remote);
            assert_eq!(identity.is_ok(), taken, "{line} at {address}");
        }
    }
}
