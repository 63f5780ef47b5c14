//! The flags that say who we are to a backend.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::reapi::{Credentials, Grant, SCOPE, ServiceAccount, TokenFile};

/// Who we are to it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Credentials for the backend")]
pub struct CredentialArgs {
    /// Our certificate for the backend, PEM; read anew for each connection
    #[arg(
        long,
        env = "GOMA_REMOTE_CLIENT_CERTIFICATE",
        value_name = "FILE",
        requires = "remote_client_key"
    )]
    pub remote_client_certificate: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(
        long,
        env = "GOMA_REMOTE_CLIENT_KEY",
        value_name = "FILE",
        requires = "remote_client_certificate"
    )]
    pub remote_client_key: Option<PathBuf>,
    /// A header of every call, such as x-api-key=...; may be repeated, in the environment one a
    /// line. Other users of this machine see command lines: a file is better for secrets
    #[arg(long, env = "GOMA_REMOTE_HEADER", value_delimiter = '\n', hide_env_values = true, value_name = "NAME=VALUE", value_parser = header_of_line)]
    pub remote_header: Vec<Header>,
    /// File with such headers, one a line; # begins a comment
    #[arg(long, env = "GOMA_REMOTE_HEADER_FILE", value_name = "FILE")]
    pub remote_header_file: Option<PathBuf>,
    /// File with a bearer token; read again when it changes
    #[arg(long, env = "GOMA_REMOTE_TOKEN_FILE", value_name = "FILE")]
    pub remote_token_file: Option<PathBuf>,
    /// Key of a service account, JSON; read again for each token, and tokens are renewed in time
    #[arg(
        long,
        env = "GOMA_SERVICE_ACCOUNT_JSON",
        value_name = "FILE",
        conflicts_with = "remote_token_file"
    )]
    pub service_account_json: Option<PathBuf>,
    /// What tokens of the service account are good for; its key is exchanged for them where its file
    /// says (token_uri)
    #[arg(long, env = "GOMA_SERVICE_ACCOUNT_SCOPE", default_value = SCOPE, value_name = "SCOPE")]
    pub service_account_scope: String,
    /// Whom tokens of the service account are for, such as https://farm.example/: the account signs
    /// them itself then, and nobody is asked
    #[arg(long, env = "GOMA_SERVICE_ACCOUNT_AUDIENCE", value_name = "AUDIENCE")]
    pub service_account_audience: Option<String>,
    /// Send headers and tokens also where the connection is not encrypted
    #[arg(long, env = "GOMA_REMOTE_INSECURE_CREDENTIALS")]
    pub remote_insecure_credentials: bool,
}

/// A header, whose value Debug does not show, and which is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Header {
    name: String,
    value: Zeroizing<String>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=...", self.name)
    }
}

impl CredentialArgs {
    /// How tokens come of a service account's key.
    #[must_use]
    pub fn grant(&self) -> Grant {
        match &self.service_account_audience {
            Some(audience) => Grant::Signed { audience: audience.clone() },
            None => Grant::Exchanged { scope: self.service_account_scope.clone() },
        }
    }

    /// The credentials that these say, for a connection over which they may be sent or may not. Reads
    /// files.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag that is wrong or whose file cannot be read, never a value.
    pub(crate) fn open(&self, may_be_sent: bool) -> Result<Credentials> {
        let args = self;
        let mut credentials = Credentials::default();
        let invalid = |flag: &str, error: Error| error.context(flag);
        for Header { name, value } in &args.remote_header {
            if name.is_empty() {
                let why = "--remote-header: write NAME=VALUE";
                return Err(Error::new(Code::InvalidArgument, why));
            }
            let added = credentials.add_header(name, value);
            added.map_err(|error| invalid("--remote-header", error))?;
        }
        if let Some(file) = &args.remote_header_file {
            let told = format!("--remote-header-file {}", file.display());
            let text = Zeroizing::new(read("--remote-header-file", file)?);
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().map(str::trim).zip(1..);
            for (line, number) in
                lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            {
                let told = format!("{told}, line {number}");
                let Ok(Header { name, value }) = header(line) else {
                    let why = format!("{told}: write NAME=VALUE");
                    return Err(Error::new(Code::InvalidArgument, why));
                };
                credentials.add_header(&name, &value).map_err(|error| invalid(&told, error))?;
            }
        }
        if let Some(file) = &args.remote_token_file {
            // Who starts with a wrong name learns it now, not with the first compile.
            read("--remote-token-file", file)?;
            credentials.set_token(Arc::new(TokenFile::new(file.clone())));
        }
        if let Some(file) = &args.service_account_json {
            let account = ServiceAccount::open(file.clone(), args.grant());
            let account = account.map_err(|error| invalid("--service-account-json", error))?;
            credentials.set_token(Arc::new(account));
        }
        if !may_be_sent && !credentials.is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                "--remote-header, --remote-token-file, --service-account-json: \
                 --insecure-remoteexec would send them unencrypted; use TLS, or say \
                 --remote-insecure-credentials where nobody listens",
            ));
        }
        Ok(credentials)
    }
}

/// Reads a file that a flag names.
pub(crate) fn read(flag: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        Error::new(Code::InvalidArgument, format!("{flag} {}: {error}", file.display()))
    })
}

/// One of a command line, which never fails: what does is printed with its value. Without a name it is
/// refused later.
fn header_of_line(text: &str) -> Result<Header, std::convert::Infallible> {
    let nameless = |_| Header { name: String::new(), value: text.to_owned().into() };
    Ok(header(text).unwrap_or_else(nameless))
}

/// `name=value` or, as HTTP spells it, `name: value`.
fn header(text: &str) -> Result<Header, String> {
    let split = text.find(['=', ':']).map(|at| (text[..at].trim(), text[at + 1..].trim()));
    match split {
        Some((name, value)) if !name.is_empty() => {
            Ok(Header { name: name.to_owned(), value: value.to_owned().into() })
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
