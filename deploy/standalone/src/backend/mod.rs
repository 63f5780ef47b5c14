//! An REAPI v2 server for one machine: CAS, action cache and execution.
//!
//! [`Backend`] is all that is seen from outside; it serves any stream of connections, TCP or in memory.
//! Inside, from the disk upwards:
//!
//! - `index` decides what stays and what goes, `layout` and `store` do it on disk, `blob_writer` is the
//!   only way in, `pins` keep what a running action needs;
//! - `cas_service` (with `get_tree`), `bytestream_service` (with `resource_name`, `upload`),
//!   `action_cache` (with `inline`) and `capabilities` answer clients from it;
//! - `input_tree`, `outputs`, `read_only`, `absolute_root` and `invocation` decide, without touching
//!   a file, what an action needs; `stage` and `prepared` make it real in a `run_dir`;
//! - `sandbox`, `spawner` and `process` run the command; `collect` (with `beneath`, `output_dir`) and
//!   `results` store what came of it;
//! - `operations` knows who waits for what, `executor` puts all of this in order, and
//!   `execution_service` tells clients how far it is.
//!
//! Instance names are accepted and mean nothing: there is one CAS and one action cache.

mod absolute_root;
mod action_cache;
mod beneath;
mod blob_writer;
mod blocking;
mod bytestream_service;
mod capabilities;
mod cas_service;
mod collect;
mod config;
mod execution_service;
mod executor;
mod get_tree;
mod index;
mod inline;
mod input_tree;
mod invocation;
mod layout;
mod operations;
mod output_dir;
mod outputs;
mod pins;
mod prepared;
mod process;
mod read_only;
mod rel_path;
mod resource_name;
mod results;
mod rpc_status;
mod run_dir;
mod sandbox;
mod scratch;
mod server;
mod spawner;
mod stage;
mod store;
mod upload;

pub use config::{Config, OpenError, SandboxMode};
pub use server::Backend;
