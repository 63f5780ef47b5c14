//! The shards as a gateway of a cluster sees them: a ring of gRPC servers.
//!
//! In reading order: [`hash_ring`] says who owns what, [`view`] who is up as of now; [`routed`] puts
//! the answers of all [`owners`] together, [`client`] is one of them over a [`link`].
//! [`membership`] keeps the view: a [`watcher`] for each member, whose [`standing`] is a function of
//! what it saw.

mod client;
mod doubt;
mod hash_ring;
mod join;
mod link;
mod member_list;
mod membership;
mod messages;
mod owners;
mod resolver;
mod roster;
mod routed;
mod rpc;
mod split;
mod standing;
#[cfg(test)]
mod testing;
mod view;
mod watcher;

pub use hash_ring::{Member, Ring};
pub use member_list::{MemberList, NamedShard};
pub(crate) use member_list::{distinct, host_and_port};
pub use membership::Membership;
pub use routed::Routed;
pub use view::{Up, View};

/// A shard that is up, for tests of what stands before the ring.
#[cfg(test)]
pub(crate) fn up_for_tests(name: &str) -> Up {
    Up {
        member: Member { name: name.to_owned(), weight: 1 },
        shard: std::sync::Arc::new(testing::Scripted::default()),
        gone: tokio_util::sync::CancellationToken::new(),
    }
}
