//! What there is to examine: the flags' backend, and each platform of the file with its own.

use clap::Args;
use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;
use goma_common::tls::PeerTlsArgs;

use crate::args::GatewayArgs;
use crate::config::GatewayConfig;
use crate::platforms;

/// A backend as a platform uses it.
pub struct Subject {
    /// Which platform; empty where there is but one.
    pub platform: String,
    /// How it is reached.
    pub remote: RemoteArgs,
    /// How it is used.
    pub config: GatewayConfig,
}

/// A backend of the file; where its shards are is not looked at.
#[derive(Args)]
struct Entry {
    #[command(flatten)]
    remote: RemoteArgs,
    #[arg(long)]
    shards: Option<String>,
    #[arg(long)]
    shards_dns: Option<String>,
    #[command(flatten)]
    shards_tls: PeerTlsArgs,
}

/// The subjects of these flags. The flags' own backend is one where it is named, or there is no other.
///
/// # Errors
/// When the file cannot be read, or is wrong.
pub fn subjects(remote: &RemoteArgs, gateway: &GatewayArgs) -> Result<Vec<Subject>, Failure> {
    let own = || Subject {
        platform: String::new(),
        remote: remote.clone(),
        config: gateway.config(&remote.traits()),
    };
    let Some(file) = gateway.exec_config()? else { return Ok(vec![own()]) };
    let mut subjects = Vec::new();
    if remote.remoteexec_addr.is_some() {
        subjects.push(Subject { platform: "the flags' own".to_owned(), ..own() });
    }
    for entry in &file.platforms {
        let remote = match &entry.backend {
            None if remote.remoteexec_addr.is_none() => continue,
            None => remote.clone(),
            Some(name) => {
                // The file was refused without it.
                let Some(table) = file.backends.get(name) else { continue };
                let read = platforms::entry::<Entry>(name, table);
                let Entry { remote, .. } = read.map_err(Failure::configuration)?;
                remote
            }
        };
        let config = gateway.platform_config(&remote.traits(), entry);
        subjects.push(Subject { platform: entry.dimensions.join(","), remote, config });
    }
    Ok(subjects)
}
