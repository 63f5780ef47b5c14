//! A small HTTP/1.1 client whose every awkwardness can be chosen.
//!
//! The stock client writes header and body apart, leaves Nagle's algorithm on and reuses idle
//! connections unchecked. A grown-up HTTP library does none of that, so this one is by hand.
//!
//! In reading order: [`Server`] is where requests go, `head` and `body` are the syntax,
//! `connection` the bytes, `pool` the idle connections, `encoding` and `negotiation` the
//! compression, and [`Transport`] all of it together. `caller` sends what is ready, for those who measure.

mod body;
mod caller;
mod connection;
mod encoding;
mod failure;
mod head;
mod manners;
mod negotiation;
mod pool;
mod server;
mod traffic;
mod transport;

pub(crate) use caller::{Answer, Caller, CallerConfig};
pub use encoding::Coding;
pub(crate) use encoding::inflate;
pub use failure::Failure;
pub use manners::Manners;
pub use server::Server;
pub use traffic::Traffic;
pub use transport::{Transport, TransportConfig};
