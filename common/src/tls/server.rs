//! The TLS of a port of ours.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::files::{authorities, chain, key, provider, wrong};
use crate::error::Result;
use crate::reloaded::Reloaded;

/// A handshake takes no longer; who only opens connections holds one for so long at most.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What those who connect are shown, and what they have to show.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS of our port")]
pub struct ServerTlsArgs {
    /// Our certificate and those above it, PEM; read again when it changes [default: no TLS]
    #[arg(long, env = "GOMA_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, env = "GOMA_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Authorities, PEM, one of which must vouch for whoever connects
    #[arg(long, env = "GOMA_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,
    /// Take also those who show no certificate: they show by other means who they are
    #[arg(long, env = "GOMA_TLS_CLIENT_OPTIONAL", requires = "tls_client_ca")]
    tls_client_optional: bool,
}

impl ServerTlsArgs {
    /// The TLS that these say, speaking these protocols, the preferred first.
    ///
    /// # Errors
    /// Naming the flag and the file that is wrong.
    pub fn open(&self, protocols: &'static [&'static str]) -> Result<Option<ServerTls>> {
        let (Some(_), Some(_)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let args = self.clone();
        let all = [&self.tls_certificate, &self.tls_key, &self.tls_client_ca];
        let files = all.into_iter().flatten().cloned().collect();
        let config = Reloaded::open(files, move || args.config(protocols))?;
        Ok(Some(ServerTls { config: Arc::new(config) }))
    }

    /// Whether whoever connects has to show a certificate.
    #[must_use]
    pub fn wants_certificates(&self) -> bool {
        self.takes_certificates() && !self.tls_client_optional
    }

    /// Whether whoever connects may show one.
    #[must_use]
    pub fn takes_certificates(&self) -> bool {
        self.tls_client_ca.is_some()
    }

    fn config(&self, protocols: &[&str]) -> Result<TlsAcceptor> {
        let certificate = self.tls_certificate.clone().unwrap_or_default();
        let key_file = self.tls_key.clone().unwrap_or_default();
        let failed = |error: rustls::Error| wrong("--tls-certificate", &certificate, &error);
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
        let builder = match &self.tls_client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(authorities("--tls-client-ca", file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = match self.tls_client_optional {
                    true => verifier.allow_unauthenticated().build(),
                    false => verifier.build(),
                };
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| wrong("--tls-client-ca", file, &error))?,
                )
            }
        };
        let chain = chain("--tls-certificate", &certificate)?;
        let mut config = builder
            .with_single_cert(chain, key("--tls-key", &key_file)?)
            .map_err(|error| wrong("--tls-key", &key_file, &error))?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// How connections to a port of ours begin; a clone is the same.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<Reloaded<TlsAcceptor>>,
}

impl ServerTls {
    /// Shakes hands.
    ///
    /// # Errors
    /// When the other side does not, or not in time.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = self.config.get();
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(shaken) => shaken,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake in time")),
        }
    }
}
