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
mod split;
mod standing;
#[cfg(test)]
mod testing;
mod view;
mod watcher;

pub use hash_ring::{Member, Ring};
pub use member_list::{MemberList, NamedShard};
pub use membership::Membership;
pub use routed::Routed;
pub use view::{Up, View};
