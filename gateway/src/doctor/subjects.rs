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
/// When the file of platforms or that of flags cannot be read, or is wrong.
pub fn subjects(remote: &RemoteArgs, gateway: &GatewayArgs) -> Result<Vec<Subject>, Failure> {
    // No step needs it, but a server would not start with one that is wrong.
    gateway.flags()?;
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
                let read = read.map_err(|error| file.misplaced(name, error));
                let Entry { remote, .. } = read.map_err(Failure::configuration)?;
                remote
            }
        };
        let config = gateway.platform_config(&remote.traits(), entry);
        subjects.push(Subject { platform: entry.dimensions.join(","), remote, config });
    }
    Ok(subjects)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        gateway: GatewayArgs,
    }

    #[test]
    fn a_file_of_flags_is_read_and_what_is_wrong_there_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("flags.toml");
        let read = || {
            let flags = file.to_str().expect("UTF-8");
            let line = ["x", "--remoteexec-addr", "farm:443", "--flags-file", flags];
            let Line { remote, gateway } = Line::try_parse_from(line).expect("flags");
            subjects(&remote, &gateway)
                .map(|subjects| subjects.len())
                .map_err(|why| why.to_string())
        };
        let why = read().expect_err("there is no file");
        assert!(why.contains("--flags-file"), "{why}");
        let write = |takes: &str| {
            let text = format!("[gcc]\n\"-x\" = {{ takes = \"{takes}\", means = \"nothing\" }}\n");
            std::fs::write(&file, text).expect("writes");
        };
        write("all");
        let why = read().expect_err("it is wrong");
        assert!(why.contains("flags.toml: line 2: gcc: \"-x\": takes"), "{why}");
        write("nothing");
        assert_eq!(read(), Ok(1));
    }
}
