//! The flag that says where the server is, of all verbs that ask one.

use clap::Args;
use goma_loadtest::{Result, Server};

/// Where the server is.
#[derive(Debug, Args)]
pub(crate) struct ServerArg {
    /// The Goma server; a path replaces the prefix /cxx-compiler-service, a lone / removes it
    #[arg(
        long,
        value_name = "URL",
        env = "GOMA_LOADTEST_SERVER",
        default_value = "http://127.0.0.1:8090"
    )]
    server: String,
}

impl ServerArg {
    /// # Errors
    /// An address that is none.
    pub(crate) fn server(&self) -> Result<Server> {
        Server::parse(&self.server)
    }

    /// As it was written.
    pub(crate) fn url(&self) -> &str {
        &self.server
    }
}
