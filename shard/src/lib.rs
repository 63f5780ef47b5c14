//! A shard: the owner of a slice of the digest space.
//!
//! In reading order: [`facts`] is where small facts outlive a process; [`presence`] remembers what
//! the CAS was seen to hold; [`upload`] makes blobs present, each once; [`files`] knows which file
//! key is which digest and assembles large files; [`joins`] has equal actions run once; [`LocalShard`] puts them together as the
//! `Shards` of one process.
//!
//! A shard holds no contents beyond an upload: the CAS is the only durable store of them.

mod contents;
pub mod facts;
mod files;
mod joins;
mod local;
mod presence;
mod single_flight;
mod upkeep;
mod upload;

pub use local::{LocalShard, ShardConfig};
