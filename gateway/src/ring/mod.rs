//! The shards as a gateway of a cluster sees them: a ring of gRPC servers.
//!
//! In reading order: [`hash_ring`] says who owns what.

mod hash_ring;

pub use hash_ring::{Member, Ring};
