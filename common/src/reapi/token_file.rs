//! A bearer token in a file that somebody else renews.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::credentials::TokenSource;
use crate::error::{Code, Error, Result};

/// How long a token is taken to be what the file holds.
const FRESH: Duration = Duration::from_secs(1);
/// A file that cannot be read, or is empty while it is written, does not end a token that was good
/// a moment ago.
const LENIENT: Duration = Duration::from_secs(30);
/// A token is shorter than this, in bytes.
const LONGEST: u64 = 64 << 10;

/// Reads the file when it is asked, once a second at most.
pub struct TokenFile {
    path: PathBuf,
    /// Whether the file is read for the next token, however fresh the last one is.
    renew: AtomicBool,
    known: Mutex<Option<Known>>,
}

struct Known {
    token: Zeroizing<String>,
    read: Instant,
    asked: Instant,
}

impl TokenFile {
    /// The file holds the token and nothing else but white space around it.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, renew: AtomicBool::new(false), known: Mutex::default() }
    }

    async fn read(&self) -> Result<Zeroizing<String>> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(Code::Unavailable, format!("token file {}: {why}", self.path.display()))
        };
        let size = tokio::fs::metadata(&self.path).await.map_err(|error| failed(&error))?.len();
        if size > LONGEST {
            return Err(failed(&format!("{size} bytes are no token")));
        }
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = Zeroizing::new(text.map_err(|error| failed(&error))?);
        match text.trim() {
            "" => Err(failed(&"it is empty")),
            token => Ok(token.to_owned().into()),
        }
    }
}

#[async_trait]
impl TokenSource for TokenFile {
    async fn token(&self) -> Result<Zeroizing<String>> {
        let mut known = self.known.lock().await;
        let renew = self.renew.swap(false, Ordering::Relaxed);
        if let Some(known) = &*known
            && known.asked.elapsed() < FRESH
            && !renew
        {
            return Ok(known.token.clone());
        }
        match (self.read().await, &mut *known) {
            (Ok(token), known) => {
                let now = Instant::now();
                *known = Some(Known { token: token.clone(), read: now, asked: now });
                Ok(token)
            }
            (Err(error), Some(known)) if known.read.elapsed() < LENIENT => {
                tracing::warn!(%error, "the token that was there last is used");
                known.asked = Instant::now();
                Ok(known.token.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    fn renew(&self) {
        self.renew.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_renewed_token_is_seen_and_one_being_written_does_not_hurt() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let tokens = TokenFile::new(path.clone());
        let missing = tokens.token().await.expect_err("no file");
        assert!(missing.message.contains(&path.display().to_string()), "{missing}");
        std::fs::write(&path, "one\n").expect("writes");
        assert_eq!(*tokens.token().await.expect("there"), "one");
        std::fs::write(&path, "").expect("writes");
        tokio::time::advance(2 * FRESH).await;
        assert_eq!(*tokens.token().await.expect("the last one"), "one");
        std::fs::write(&path, "two").expect("writes");
        tokio::time::advance(2 * FRESH).await;
        assert_eq!(*tokens.token().await.expect("there"), "two");
        std::fs::remove_file(&path).expect("removes");
        tokio::time::advance(2 * LENIENT).await;
        assert!(tokens.token().await.is_err(), "it is gone for good");
    }
}
