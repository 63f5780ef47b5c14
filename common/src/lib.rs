//! What gateway, shard and loadtest have in common: values, the seams between them, and the only
//! code that calls a REAPI backend.
//!
//! In reading order: [`digest`] and [`file_key`] name contents; [`entry`] says what a file key
//! stands for; [`shards`] is the question a gateway asks of the shards, [`turn`] one of its answers;
//! [`tenant`] keeps groups of users apart there, [`fair_queue`] gives each user his turn; [`shard_wire`]
//! spells them for the wire, and [`shard_status`] is how shards are; [`reapi`] is the backend.
//! [`error`], [`deadline`] and [`backoff`] are how all of them fail, wait and try again;
//! [`tls`] is that of our own ports, [`reloaded`] keeps up with files;
//! [`program`], [`drain`], [`telemetry`] and [`admin`] are the frame of a process, [`remote_args`] and
//! [`credential_args`] the flags that all of them have, [`print_config`] what they come down to, [`preset`] what is known of each kind of
//! backend.
//!
//! Nothing here knows the Goma protocol but the key of a file, and nothing keeps state between
//! requests but connections.

pub mod admin;
pub mod backoff;
pub mod cancel_only;
pub mod credential_args;
pub mod deadline;
pub mod digest;
pub mod docs_command;
pub mod drain;
pub mod entry;
pub mod error;
pub mod fair_queue;
pub mod file_key;
mod open_files;
pub mod preset;
pub mod print_config;
pub mod program;
pub mod reapi;
pub mod reloaded;
pub mod remote_args;
pub mod shard_status;
pub mod shard_wire;
pub mod shards;
pub mod telemetry;
mod tenant;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod tls;
pub mod turn;

pub use deadline::Deadline;
pub use digest::Digest;
pub use entry::{FileEntry, View};
pub use error::{Code, Error, Result};
pub use file_key::FileKey;
pub use tenant::Tenant;
