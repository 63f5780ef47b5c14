//! Tokens of ours, for machines and for people without a provider: a file of names and hashes.
//!
//! A line is `NAME HASH`, and perhaps `until YYYY-MM-DD` after it; `#` begins a comment. Tokens have 256
//! random bits, so that a plain SHA-256 of them is as good as any slow hash.

use std::collections::HashMap;
use std::time::SystemTime;

use goma_common::Digest;
use zeroize::Zeroizing;

use super::{By, Denied, Proof};

/// How they all begin, so that one in a log or a repository is seen for what it is.
const PREFIX: &str = "goma_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// What the file says. It holds no token.
#[derive(Debug)]
pub(crate) struct StaticTokens(HashMap<[u8; 32], Entry>);

#[derive(Debug)]
struct Entry {
    name: String,
    until: Option<SystemTime>,
}

/// Whether it looks like one.
pub(crate) fn is_ours(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// A new token, and its hash as the file has it.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn new_token() -> std::io::Result<(Zeroizing<String>, String)> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let mut random = std::fs::File::open("/dev/urandom")?;
    std::io::Read::read_exact(&mut random, &mut bytes[..])?;
    let token = Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(hex::encode(*bytes))));
    let hash = hash(&token);
    Ok((token, hex::encode(hash)))
}

fn hash(token: &str) -> [u8; 32] {
    Digest::of(token.as_bytes()).hash
}

impl StaticTokens {
    /// Reads the file.
    ///
    /// # Errors
    /// The line and what is wrong there, never the line itself.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = HashMap::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default();
            let wrong = |why: &str| format!("line {number}: {why}");
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            let mut hash = [0; 32];
            let told = words.next().ok_or_else(|| wrong("write NAME HASH"))?;
            if is_ours(told) || is_ours(name) {
                return Err(wrong("that is a token: write its hash, and take the token for lost"));
            }
            hex::decode_to_slice(told, &mut hash)
                .map_err(|_| wrong("the hash is not of 64 hexadecimal digits"))?;
            let until = match (words.next(), words.next(), words.next()) {
                (None, ..) => None,
                (Some("until"), Some(day), None) => {
                    let midnight = humantime::parse_rfc3339_weak(&format!("{day} 00:00:00"));
                    Some(midnight.map_err(|_| wrong("write until YYYY-MM-DD"))?)
                }
                _ => return Err(wrong("write NAME HASH, or NAME HASH until YYYY-MM-DD")),
            };
            let entry = Entry { name: name.to_owned(), until };
            if tokens.insert(hash, entry).is_some() {
                return Err(wrong("this hash is there twice"));
            }
        }
        Ok(Self(tokens))
    }

    /// Whose token it is. The hash is looked up, not compared byte by byte, so that time tells nothing
    /// of the token.
    pub(crate) fn prove(&self, token: &str, now: SystemTime) -> Result<Proof, Denied> {
        match self.0.get(&hash(token)) {
            None => Err(Denied::Unknown("no such token".to_owned())),
            Some(Entry { name, until: Some(until) }) if *until <= now => {
                Err(Denied::Unknown(format!("the token of {name} has expired")))
            }
            Some(entry) => Ok(Proof::of(&entry.name, By::OurToken)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tokens_are_known_by_their_hashes_until_they_expire() {
        let (token, hash) = new_token().expect("randomness");
        let (other, _) = new_token().expect("randomness");
        assert!(is_ours(&token) && token != other && !token.contains(&hash));
        let file = format!("# machines\n\nci {hash} until 1970-01-03 # the old one\n");
        let tokens = StaticTokens::parse(&file).expect("it is right");
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
        assert_eq!(tokens.prove(&token, at(1)).expect("good").name, "ci");
        let expired = tokens.prove(&token, at(2));
        assert!(matches!(expired, Err(Denied::Unknown(why)) if why.contains("ci has expired")));
        assert!(tokens.prove(&other, at(1)).is_err());
        assert!(tokens.prove(&hash, at(1)).is_err(), "a hash is no token");
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let (token, hash) = new_token().expect("randomness");
        for (text, why) in [
            ("ci".to_owned(), "line 1: write NAME HASH"),
            (format!("\nci {}", *token), "line 2: that is a token"),
            ("ci hunter2".to_owned(), "line 1: the hash"),
            (format!("ci {hash} until tomorrow"), "line 1: write until"),
            (format!("ci {hash} x"), "line 1: write NAME HASH"),
            (format!("ci {hash}\nci2 {hash}"), "line 2: this hash is there twice"),
        ] {
            let told = StaticTokens::parse(&text).expect_err("wrong");
            assert!(told.contains(why), "{told}, not {why}");
            assert!(!told.contains(token.as_str()) && !told.contains("hunter2"), "{told}");
        }
    }
}
