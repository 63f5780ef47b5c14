//! The TLS of connections to a shard: it shows a certificate of the cluster's, and so do we.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::files::{authorities, chain, key, provider, wrong};
use crate::error::{Code, Error, Result};
use crate::reloaded::Reloaded;

/// How a shard is known, and we to it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS to the shards")]
pub struct PeerTlsArgs {
    /// Authorities, PEM, that vouch for the shards [default: no TLS]
    #[arg(long, env = "GOMA_SHARDS_CA", value_name = "FILE")]
    shards_ca: Option<PathBuf>,
    /// Our certificate for the shards, PEM; read again when it changes
    #[arg(
        long,
        env = "GOMA_SHARDS_CERTIFICATE",
        value_name = "FILE",
        requires = "shards_key",
        requires = "shards_ca"
    )]
    shards_certificate: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, env = "GOMA_SHARDS_KEY", value_name = "FILE", requires = "shards_certificate")]
    shards_key: Option<PathBuf>,
    /// Name that the shards' certificates bear, the same for all
    #[arg(
        long,
        env = "GOMA_SHARDS_SERVER_NAME",
        default_value = "goma-shard",
        value_name = "NAME"
    )]
    shards_server_name: String,
}

impl PeerTlsArgs {
    /// The TLS that these say.
    ///
    /// # Errors
    /// Naming the flag and the file that is wrong.
    pub fn open(&self) -> Result<Option<PeerTls>> {
        let Some(ca) = &self.shards_ca else { return Ok(None) };
        let name = ServerName::try_from(self.shards_server_name.clone()).map_err(|error| {
            Error::new(Code::InvalidArgument, format!("--shards-server-name: {error}"))
        })?;
        let all = [Some(ca), self.shards_certificate.as_ref(), self.shards_key.as_ref()];
        let files = all.into_iter().flatten().cloned().collect();
        let args = self.clone();
        let config = Reloaded::open(files, move || args.config())?;
        Ok(Some(PeerTls { config: Arc::new(config), name }))
    }

    fn config(&self) -> Result<TlsConnector> {
        let ca = self.shards_ca.clone().unwrap_or_default();
        let failed = |error: rustls::Error| wrong("--shards-ca", &ca, &error);
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
        let builder = builder.with_root_certificates(authorities("--shards-ca", &ca)?);
        let mut config = match (&self.shards_certificate, &self.shards_key) {
            (Some(certificate), Some(file)) => builder
                .with_client_auth_cert(
                    chain("--shards-certificate", certificate)?,
                    key("--shards-key", file)?,
                )
                .map_err(|error| wrong("--shards-key", file, &error))?,
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// How connections to shards begin; a clone is the same.
#[derive(Clone)]
pub struct PeerTls {
    config: Arc<Reloaded<TlsConnector>>,
    name: ServerName<'static>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PeerTls {
    /// Shakes hands. Bounded by the caller.
    ///
    /// # Errors
    /// When the other side does not, or is not whom it has to be.
    pub async fn connect<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.config.get().connect(self.name.clone(), stream).await
    }
}
