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
}

impl IdentityArgs {
    /// How requests are identified at this address, with that backend.
    ///
    /// # Errors
    /// Naming the flags that are missing, contradict each other, or whose file is wrong.
    pub fn identity(&self, listen: IpAddr, remote: &RemoteArgs) -> Result<Identity, Failure> {
        let wrong = |why: String| Err(Failure::Configuration(why));
        let how = self.how();
        if how.contains(&Auth::None) {
            return match how.as_slice() {
                [Auth::None] if listen.is_loopback() || self.allow_anybody => Ok(Identity::none()),
                [Auth::None] => wrong(format!(
                    "listening on {listen}, everybody who can connect could compile here: say who \
                     is let in (--allowed-users, --auth-token-file, --acl-file), or --allow-anybody \
                     where the network sees to that"
                )),
                _ => wrong("--auth: none is for nobody else beside it".to_owned()),
            };
        }
        let tokens = match (how.contains(&Auth::Tokens), &self.auth_token_file) {
            (true, Some(file)) => Some(follow("--auth-token-file", file, StaticTokens::parse)),
            (true, None) => return wrong("--auth tokens: name the --auth-token-file".to_owned()),
            (false, _) => None,
        };
        let google = how.contains(&Auth::Google).then(|| Google::new(self.tokeninfo_url.clone()));
        let oidc = match (how.contains(&Auth::Oidc), &self.oidc_issuer, &self.oidc_audience) {
            (true, Some(issuer), Some(audience)) => {
                Some(Oidc::new(issuer.clone(), audience.clone(), self.oidc_name.clone()))
            }
            (true, ..) => {
                return wrong("--auth oidc: name the --oidc-issuer and --oidc-audience".to_owned());
            }
            (false, ..) => None,
        };
        let acl = match &self.acl_file {
            Some(file) => follow("--acl-file", file, Acl::parse),
            None => {
                let users = match &google {
                    Some(_) if self.allowed_users.is_empty() && oidc.is_none() => {
                        vec![own_address()?]
                    }
                    _ => self.allowed_users.iter().map(|user| user.trim().to_owned()).collect(),
                };
                if users.is_empty() && tokens.is_none() {
                    return wrong(
                        "--oidc-issuer: say who of its users is let in, by --allowed-users (such as \
                         '*@farm.example') or --acl-file"
                            .to_owned(),
                    );
                }
                let acl = Acl::of_users(&users, &self.allowed_audience);
                Ok(Reloaded::constant(if tokens.is_some() { acl.with_tokens() } else { acl }))
            }
        };
        let identity = Identity {
            tokens: tokens.transpose().map_err(Failure::configuration)?,
            google: google.transpose().map_err(Failure::configuration)?,
            oidc: oidc.transpose().map_err(Failure::configuration)?,
            acl: Some(acl.map_err(Failure::configuration)?),
        };
        if identity.passes_tokens() && !remote.may_send_credentials() {
            return wrong(
                "--acl-file: a group's users are to use the backend with their own tokens, which \
                 --insecure-remoteexec would send unencrypted; use TLS, or say \
                 --remote-insecure-credentials where nobody listens"
                    .to_owned(),
            );
        }
        Ok(identity)
    }

    fn how(&self) -> Vec<Auth> {
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
        // Named by themselves they are those whom the original knows.
        let users = !self.allowed_users.is_empty() && self.oidc_issuer.is_none();
        if users || (self.acl_file.is_some() && how.is_empty()) {
            how.push(Auth::Google);
        }
        if how.is_empty() {
            how.push(Auth::None);
        }
        how
    }
}

/// Keeps up with a file.
fn follow<T>(
    flag: &'static str,
    file: &Path,
    parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
) -> Result<Reloaded<T>, Error> {
    let file = file.to_owned();
    Reloaded::open(vec![file.clone()], move || {
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        text.and_then(|text| parse(&text)).map_err(|why| {
            Error::new(Code::InvalidArgument, format!("{flag} {}: {why}", file.display()))
        })
    })
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
