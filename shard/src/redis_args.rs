//! The flags that say where facts are kept.

use std::path::PathBuf;
use std::time::Duration;

use goma_common::program::Failure;

use crate::facts::RedisConfig;

/// Where facts are kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Redis or Valkey")]
pub struct RedisArgs {
    /// redis://HOST:PORT or rediss://HOST:PORT; repeated, the nodes of a Redis Cluster [default:
    /// facts are kept in memory and end with the process]
    #[arg(
        long,
        env = "GOMA_REDIS_URL",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub redis_url: Vec<String>,
    /// A single --redis-url is that of a Redis Cluster
    #[arg(long, env = "GOMA_REDIS_CLUSTER")]
    pub redis_cluster: bool,
    /// User, in place of the URL's
    #[arg(long, env = "GOMA_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,
    /// File with the password, in place of the URL's; GOMA_REDIS_PASSWORD holds one directly
    #[arg(long, env = "GOMA_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// Certificate authority of a rediss:// server, PEM, in place of the system's
    #[arg(long, env = "GOMA_REDIS_CA_CERTIFICATE", value_name = "FILE")]
    pub redis_ca_certificate: Option<PathBuf>,
    /// How long the backend is taken to hold a blob after it said so; well under its retention
    #[arg(long, env = "GOMA_PRESENCE_LIFE", default_value = "4h", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub presence_life: Duration,
    /// How long it is remembered what a file key stands for
    #[arg(long, env = "GOMA_MAPPING_LIFE", default_value = "30d", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub mapping_life: Duration,
}

impl RedisArgs {
    /// Where facts are kept, if not in memory. Reads the password. `namespace` sets
    /// presence apart from that of other backends.
    ///
    /// # Errors
    /// Naming the flag whose file cannot be read.
    pub fn config(&self, namespace: &str) -> Result<Option<RedisConfig>, Failure> {
        if self.redis_url.is_empty() {
            return Ok(None);
        }
        let read = |flag: &str, file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|error| {
                Failure::Configuration(format!("{flag} {}: {error}", file.display()))
            })
        };
        let password = match &self.redis_password_file {
            Some(file) => Some(read("--redis-password-file", file)?),
            None => std::env::var("GOMA_REDIS_PASSWORD").ok(),
        };
        let ca_certificate = match &self.redis_ca_certificate {
            Some(file) => Some(read("--redis-ca-certificate", file)?.into_bytes()),
            None => None,
        };
        Ok(Some(RedisConfig {
            urls: self.redis_url.clone(),
            username: self.redis_username.clone(),
            password: password.map(|password| password.trim_end().to_owned()),
            ca_certificate,
            cluster: self.redis_cluster,
            namespace: namespace.to_owned(),
            mapping_life: self.mapping_life,
            presence_life: self.presence_life,
        }))
    }
}
