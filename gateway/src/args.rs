//! The flags of a gateway, wherever it runs: `remoteexec_proxy` has the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use goma_common::admin::{Admin, AdminArgs};
use goma_common::preset::Traits;
use goma_common::print_config::Derived;
use goma_common::program::Failure;
use goma_common::reloaded::Reloaded;
use goma_common::remote_args::RemoteArgs;
use goma_common::tls::ServerTlsArgs;
use toml::Table;

use crate::command::Flags;
use crate::config::GatewayConfig;
use crate::identity::{Identity, IdentityArgs, Shown};
use crate::peer::PeerArgs;
use crate::place::Place;
use crate::platforms::{ExecConfig, Inventory, PlatformEntry};
use crate::server::Port;
use crate::setting_args::SettingArgs;

/// The port for operators, where no other is named.
const ADMIN: u16 = 9190;

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
        let file = self.settings.exec_config_file();
        file.map(ExecConfig::read).transpose().map_err(Failure::configuration)
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
        let Some(file) = self.settings.exec_config_file().map(Path::to_owned) else {
            return Ok(None);
        };
        let (settings, file_read) = (self.settings.clone(), file.clone());
        let read = move |before: Option<&Inventory>| {
            Inventory::read(&file, before, &settings, &own, &open)
        };
        Reloaded::open_after(vec![file_read], read).map(Some).map_err(Failure::configuration)
    }

    /// What flags of compilers mean. Reads a file.
    ///
    /// # Errors
    /// Naming the file, the line and what is wrong.
    pub fn flags(&self) -> Result<Flags, Failure> {
        match self.settings.flags_file() {
            Some(file) => Flags::open(file.to_owned()).map_err(Failure::configuration),
            None => Ok(Flags::default()),
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use std::time::Duration;

    use goma_common::preset::{AbsolutePaths, OutputFields, Preset};

    use super::*;
    use crate::config::Timeouts;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gateway: GatewayArgs,
    }

    fn traits(absolute_paths: AbsolutePaths) -> Traits {
        Traits { absolute_paths, ..Preset::Generic.traits() }
    }

    fn parse(line: &str) -> GatewayArgs {
        Line::try_parse_from(line.split(' ')).expect("parses").gateway
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
