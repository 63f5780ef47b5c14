//! TLS of our own ports: what those who listen show, and how those who connect to a shard check it.
//!
//! Calls to a backend have settings of their own, in [`crate::reapi`].

mod files;
mod io;
mod peer;
mod server;

pub use io::Io;
pub use peer::{PeerTls, PeerTlsArgs};
pub use server::{ServerTls, ServerTlsArgs};
