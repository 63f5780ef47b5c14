//! A local token service for the stock client, in the form of LUCI's: with refreshable tokens its own
//! retries work, which with a fixed token or none they do not.
//!
//! The client finds it by the file that `LUCI_CONTEXT` names, and asks it by POST on a loopback port,
//! showing the secret of that file. It takes no token by itself: those of a file, or one that says
//! nothing where the server asks for none.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, Result};

/// Where the client asks.
const ROUTE: &str = "/rpc/LuciLocalAuthService.GetOAuthToken";
/// The only account, and the client's own by default.
const ACCOUNT: &str = "goma";
/// The client asks again when this has passed, and so gets a token that was renewed meanwhile.
const LIFE: Duration = Duration::from_secs(600);

/// The service; it ends when it is dropped.
pub struct TokenService {
    address: SocketAddr,
    secret: String,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Tokens {
    file: Option<PathBuf>,
    secret: String,
}

/// What the client asks.
#[derive(Deserialize)]
struct Ask {
    secret: String,
    account_id: String,
}

impl TokenService {
    /// One on this port of loopback, 0 for any that is free, that gives what the file holds each time
    /// that it is asked.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16, file: Option<PathBuf>) -> Result<Self> {
        let failed = |source: std::io::Error| Error::Member {
            name: "token service".to_owned(),
            reason: format!("--port {port}: {source}"),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Known to whoever may read the file, as the file itself is: it keeps other users out.
        let secret = format!("{:032x}", fastrand::u128(..));
        let tokens = Tokens { file, secret: secret.clone() };
        let app = Router::new().route(ROUTE, post(give)).with_state(tokens);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the token service ended");
            }
        });
        Ok(Self { address, secret, _task: AbortOnDropHandle::new(task) })
    }

    /// What the file has to hold that `LUCI_CONTEXT` names.
    #[must_use]
    pub fn context(&self) -> String {
        let (port, secret) = (self.address.port(), &self.secret);
        let accounts = [json!({"id": ACCOUNT})];
        let auth = json!({
            "rpc_port": port, "secret": secret, "accounts": accounts, "default_account_id": ACCOUNT,
        });
        json!({ "local_auth": auth }).to_string()
    }
}

async fn give(State(tokens): State<Tokens>, body: String) -> (HeaderMap, String) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The client reads until the end of the connection.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = answer(&tokens, &body).await;
    let answer = answer.unwrap_or_else(|why| json!({"error_code": 1, "error_message": why}));
    (headers, answer.to_string())
}

async fn answer(tokens: &Tokens, body: &str) -> Result<Value, String> {
    let ask: Ask = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if ask.secret != tokens.secret || ask.account_id != ACCOUNT {
        return Err("not the secret and account of the context".to_owned());
    }
    let token = match &tokens.file {
        None => "none".to_owned(),
        Some(file) => {
            let read = tokio::fs::read_to_string(file).await;
            let text = read.map_err(|error| format!("{}: {error}", file.display()))?;
            match text.trim() {
                "" => return Err(format!("{}: it is empty", file.display())),
                token => token.to_owned(),
            }
        }
    };
    let since = (SystemTime::now() + LIFE).duration_since(SystemTime::UNIX_EPOCH);
    let expiry = since.map_err(|error| error.to_string())?.as_secs();
    Ok(json!({"access_token": token, "expiry": expiry}))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// The answer as the stock client reads it: to the end of the connection.
    async fn ask(context: &Value, secret: &str) -> Value {
        let auth = &context["local_auth"];
        let port = u16::try_from(auth["rpc_port"].as_u64().expect("a port")).expect("a port");
        let ask = json!({
            "secret": secret, "account_id": auth["default_account_id"], "scopes": ["any"],
        });
        let body = ask.to_string();
        let head = format!(
            "POST {ROUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("to the end");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(body).expect("JSON")
    }

    #[tokio::test]
    async fn a_client_that_shows_the_secret_gets_the_token_of_now() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let service = TokenService::start(0, Some(file.path().to_owned())).await.expect("starts");
        let context: Value = serde_json::from_str(&service.context()).expect("JSON");
        let secret = context["local_auth"]["secret"].as_str().expect("a secret").to_owned();
        for token in ["one", "two"] {
            std::fs::write(file.path(), format!("{token}\n")).expect("writes");
            let answer = ask(&context, &secret).await;
            assert_eq!(answer["access_token"], token);
            assert!(answer["expiry"].as_u64().expect("a time") > 1_700_000_000);
        }
        let refused = ask(&context, "guessed").await;
        assert!(refused["access_token"].is_null(), "{refused}");
        assert_eq!(refused["error_code"], 1);
        std::fs::write(file.path(), "").expect("writes");
        let empty = ask(&context, &secret).await;
        assert!(empty["error_message"].as_str().expect("words").contains("empty"), "{empty}");
    }

    #[tokio::test]
    async fn a_server_that_asks_for_none_gets_a_token_that_says_nothing() {
        let service = TokenService::start(0, None).await.expect("starts");
        let context: Value = serde_json::from_str(&service.context()).expect("JSON");
        let secret = context["local_auth"]["secret"].as_str().expect("a secret").to_owned();
        assert_eq!(ask(&context, &secret).await["access_token"], "none");
    }
}
