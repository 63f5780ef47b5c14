//! A shard: the owner of a slice of the digest space.
//!
//! In reading order: [`facts`] is where small facts outlive a process; [`presence`] remembers what
//! the CAS was seen to hold; [`upload`] makes blobs present, each once; [`files`] knows which file
//! key is which digest and assembles large files; [`contents`] keeps what passed through lately;
//! [`joins`] has equal actions run once. [`LocalShard`] puts them together, [`upkeep`] is what it
//! does by itself, [`service`] serves it to gateways on its [`port`], [`server`] is the program `goma-shard`.
//!
//! Nothing relies on contents that a shard holds: the CAS is the only durable store of them.

mod args;
mod bump_epoch;
mod contents;
mod counts;
pub mod facts;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod joins;
mod local;
mod port;
mod presence;
mod redis_args;
mod server;
mod service;
mod single_flight;
mod sync;
mod upkeep;
mod upload;

pub use args::Cli;
pub use local::{LocalShard, ShardConfig};
pub use redis_args::RedisArgs;
pub use server::{Served, run, serve};
