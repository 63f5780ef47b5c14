//! The flags that say who is let in.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use goma_common::program::Failure;
use goma_common::reloaded::Reloaded;
use goma_common::remote_args::RemoteArgs;
use goma_common::{Code, Error};
use http::Uri;

use super::Identity;
use super::accounts::{AccountFiles, Listed};
use super::acl::Acl;
use super::google::{Google, STOCK_CLIENT, TOKENINFO};
use super::oidc::Oidc;
use super::static_tokens::StaticTokens;

/// Who is let in. Flags of the original keep their names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct IdentityArgs {
    /// How requests show who they are from; several, separated by commas [default: as the other flags
    /// of access need it, and without any `none`]
    #[arg(long, env = "GOMA_GATEWAY_AUTH", value_enum, value_delimiter = ',', value_name = "HOW")]
    auth: Vec<Auth>,
    /// Users of Google's tokens who are let in, separated by commas: addresses, or *@DOMAIN [default:
    /// the running user's address, where Google's tokens are wanted]
    #[arg(
        long,
        env = "GOMA_GATEWAY_ALLOWED_USERS",
        alias = "whitelisted-users",
        value_delimiter = ',',
        value_name = "USER",
        conflicts_with = "acl_file"
    )]
    allowed_users: Vec<String>,
    /// Whom Google's tokens must have been made for; empty is anybody [default: the stock client]
    #[arg(
        long,
        env = "GOMA_GATEWAY_ALLOWED_AUDIENCE",
        default_value = STOCK_CLIENT,
        hide_default_value = true,
        value_name = "ID"
    )]
    allowed_audience: String,
    /// TOML file of groups that are let in or not, in place of --allowed-users; read again when it
    /// changes
    #[arg(long, env = "GOMA_GATEWAY_ACL_FILE", value_name = "FILE")]
    acl_file: Option<PathBuf>,
    /// File of names and hashes of tokens, as `token new` makes them; read again when it changes
    #[arg(long, env = "GOMA_GATEWAY_AUTH_TOKEN_FILE", value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// Directory of the service accounts that groups of that file use the backend with, NAME.json each
    #[arg(
        long,
        env = "GOMA_GATEWAY_SERVICE_ACCOUNT_JSON_DIR",
        value_name = "DIR",
        requires = "acl_file"
    )]
    service_account_json_dir: Option<PathBuf>,
    /// Keep groups apart: each has file keys, presence and running compiles of its own, so that to know
    /// a file's hash is no way to read another group's. The same on all gateways
    #[arg(long, env = "GOMA_GATEWAY_TENANCY")]
    tenancy: bool,
    /// Where Google is asked whose a token is
    #[arg(
        long,
        env = "GOMA_GATEWAY_TOKENINFO_URL",
        default_value = TOKENINFO,
        value_name = "URL"
    )]
    tokeninfo_url: Uri,
    /// OpenID provider whose tokens are taken, by its URL
    #[arg(long, env = "GOMA_GATEWAY_OIDC_ISSUER", value_name = "URL", requires = "oidc_audience")]
    oidc_issuer: Option<String>,
    /// Whom its tokens must have been made for
    #[arg(long, env = "GOMA_GATEWAY_OIDC_AUDIENCE", value_name = "ID", requires = "oidc_issuer")]
    oidc_audience: Option<String>,
    /// Which of their claims is a user's name; an address must be a verified one
    #[arg(long, env = "GOMA_GATEWAY_OIDC_NAME", default_value = "email", value_name = "CLAIM")]
    oidc_name: String,
    /// Let everybody in who can connect, and not from this machine alone
    #[arg(long, env = "GOMA_GATEWAY_ALLOW_ANYBODY")]
    allow_anybody: bool,
}

/// What shows who a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Nothing: everybody who can connect is let in
    None,
    /// Google's access tokens
    Google,
    /// Tokens of --auth-token-file
    Tokens,
    /// Signed tokens of the provider of --oidc-issuer
    Oidc,
    /// Certificates for which an authority of --tls-client-ca vouches
    Certificates,
    /// What a proxy of --trusted-proxies says in the --proxy-user-header
    Proxies,
}

/// What else there is to identify requests by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Whether connections may show certificates that an authority of ours vouches for.
    pub(crate) certificates: bool,
    /// Whether a proxy may name users.
    pub(crate) users: bool,
}

impl IdentityArgs {
    /// How requests are identified at this address, with that backend.
    ///
    /// # Errors
    /// Naming the flags that are missing, contradict each other, or whose file is wrong.
    pub(crate) fn identity(
        &self,
        listen: IpAddr,
        shown: Shown,
        remote: &RemoteArgs,
    ) -> Result<Identity, Failure> {
        let how = self.how(shown);
        if how.contains(&Auth::None) {
            return self.anybody(&how, listen);
        }
        let is_on = |auth| how.contains(&auth);
        if is_on(Auth::Certificates) && !shown.certificates {
            return wrong("--auth certificates: name the --tls-client-ca that vouches for them");
        }
        if is_on(Auth::Proxies) && !shown.users {
            return wrong("--auth proxies: name the --trusted-proxies and the --proxy-user-header");
        }
        let tokens = match (is_on(Auth::Tokens), &self.auth_token_file) {
            (true, Some(file)) => Some(follow("--auth-token-file", file, StaticTokens::parse)),
            (true, None) => return wrong("--auth tokens: name the --auth-token-file"),
            (false, _) => None,
        };
        let google = is_on(Auth::Google).then(|| Google::new(self.tokeninfo_url.clone()));
        let oidc = match (is_on(Auth::Oidc), &self.oidc_issuer, &self.oidc_audience) {
            (true, Some(issuer), Some(audience)) => {
                Some(Oidc::new(issuer.clone(), audience.clone(), self.oidc_name.clone()))
            }
            (true, ..) => return wrong("--auth oidc: name the --oidc-issuer and --oidc-audience"),
            (false, ..) => None,
        };
        let identity = Identity {
            acl: Some(self.listed(&how, remote)?),
            tokens: tokens.transpose().map_err(Failure::configuration)?,
            google: google.transpose().map_err(Failure::configuration)?,
            oidc: oidc.transpose().map_err(Failure::configuration)?,
            certificates: is_on(Auth::Certificates),
            proxies: is_on(Auth::Proxies),
            tenancy: self.tenancy,
        };
        let has_accounts = identity.acl.as_ref().is_some_and(|acl| acl.get().acl.has_accounts());
        if has_accounts && !remote.may_send_credentials() {
            return wrong(
                "--acl-file: a group's users are to use the backend with other tokens than ours, \
                 which --insecure-remoteexec would send unencrypted; use TLS, or say \
                 --remote-insecure-credentials where nobody listens",
            );
        }
        Ok(identity)
    }

    /// Everybody, where that is meant.
    fn anybody(&self, how: &[Auth], listen: IpAddr) -> Result<Identity, Failure> {
        if how.len() > 1 {
            return wrong("--auth: none is for nobody else beside it");
        }
        if self.tenancy {
            return wrong("--tenancy: there are no groups where everybody is let in");
        }
        if !listen.is_loopback() && !self.allow_anybody {
            return wrong(&format!(
                "listening on {listen}, everybody who can connect could compile here: say who \
                 is let in (--allowed-users, --auth-token-file, --acl-file), or --allow-anybody \
                 where the network sees to that"
            ));
        }
        Ok(Identity::none())
    }

    /// Who of those that show who they are is let in.
    fn listed(&self, how: &[Auth], remote: &RemoteArgs) -> Result<Reloaded<Listed>, Failure> {
        let files = AccountFiles {
            dir: self.service_account_json_dir.clone(),
            grant: remote.credentials.grant(),
        };
        if let Some(file) = &self.acl_file {
            let listed = Reloaded::open(vec![file.clone()], {
                let file = file.clone();
                move || {
                    let open =
                        |text: &str| files.open(Acl::parse(text)?).map_err(|error| error.message);
                    read("--acl-file", &file, open)
                }
            });
            return listed.map_err(Failure::configuration);
        }
        let is_on = |auth| how.contains(&auth);
        let users: Vec<String> =
            match is_on(Auth::Google) && !is_on(Auth::Oidc) && self.allowed_users.is_empty() {
                true => vec![own_address()?],
                false => self.allowed_users.iter().map(|user| user.trim().to_owned()).collect(),
            };
        let (tokens, certificates) = (is_on(Auth::Tokens), is_on(Auth::Certificates));
        if users.is_empty() && !tokens && !certificates {
            return wrong(
                "say who of those users is let in, by --allowed-users (such as '*@farm.example') or \
                 --acl-file",
            );
        }
        let mut acl = Acl::of_users(&users, &self.allowed_audience);
        if tokens {
            acl = acl.with_tokens();
        }
        // Where users are named, those alone.
        if certificates && users.is_empty() {
            acl = acl.with_certificates();
        }
        files.open(acl).map(Reloaded::constant).map_err(Failure::configuration)
    }

    fn how(&self, shown: Shown) -> Vec<Auth> {
        if !self.auth.is_empty() {
            return self.auth.clone();
        }
        let mut how = Vec::new();
        if self.auth_token_file.is_some() {
            how.push(Auth::Tokens);
        }
        if self.oidc_issuer.is_some() {
            how.push(Auth::Oidc);
        }
        if shown.certificates {
            how.push(Auth::Certificates);
        }
        if shown.users {
            how.push(Auth::Proxies);
        }
        // Named by themselves, or beside tokens of ours, they are those whom the original knows.
        let others = how.iter().any(|how| *how != Auth::Tokens);
        if (!self.allowed_users.is_empty() && !others)
            || (self.acl_file.is_some() && how.is_empty())
        {
            how.push(Auth::Google);
        }
        if how.is_empty() {
            how.push(Auth::None);
        }
        how
    }
}

fn wrong<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::Configuration(why.to_owned()))
}

/// Reads a file that a flag names.
fn read<T>(flag: &str, file: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    text.and_then(|text| parse(&text)).map_err(|why| {
        Error::new(Code::InvalidArgument, format!("{flag} {}: {why}", file.display()))
    })
}

/// Keeps up with a file.
fn follow<T>(
    flag: &'static str,
    file: &Path,
    parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
) -> Result<Reloaded<T>, Error> {
    let file = file.to_owned();
    Reloaded::open(vec![file.clone()], move || read(flag, &file, &parse))
}

/// As the original makes it up: the user's name at what `/etc/mailname` says.
fn own_address() -> Result<String, Failure> {
    let user = std::env::var("USER").unwrap_or_default();
    let domain = std::fs::read_to_string("/etc/mailname").unwrap_or_default();
    match (user.trim(), domain.trim()) {
        ("", _) | (_, "") => Err(Failure::Configuration(
            "--allowed-users: name those who are let in; your own address cannot be told, which \
             takes USER and /etc/mailname"
                .to_owned(),
        )),
        (user, domain) => Ok(format!("{user}@{domain}")),
    }
}
