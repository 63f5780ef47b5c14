//! The verb that makes a token.

use clap::{Args, Subcommand};
use goma_common::program::Failure;

use super::static_tokens::new_token;

/// Tokens for machines, and for people without a provider.
#[derive(Debug, Args)]
pub struct TokenCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token: it is printed once, with the line for --auth-token-file
    New {
        /// Whose it is, as logs and the ACL name it
        #[arg(value_parser = name)]
        name: String,
        /// Last day of the token, YYYY-MM-DD [default: it does not expire]
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
    },
}

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the system has no randomness, or the day is none.
    pub fn run(&self) -> Result<(), Failure> {
        let Verb::New { name, until } = &self.verb;
        let until = match until {
            None => String::new(),
            Some(day) if humantime::parse_rfc3339_weak(&format!("{day} 00:00:00")).is_ok() => {
                format!(" until {day}")
            }
            Some(_) => {
                return Err(Failure::Configuration("--until: write YYYY-MM-DD".to_owned()));
            }
        };
        let (token, hash) = new_token().map_err(Failure::start)?;
        println!("token, for its owner alone: {}", *token);
        println!("line for --auth-token-file: {name} {hash}{until}");
        Ok(())
    }
}

fn name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '#') {
        true => Err("a name is one word without #".to_owned()),
        false => Ok(text.to_owned()),
    }
}
