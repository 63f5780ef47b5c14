//! `remoteexec_proxy`: a gateway and one shard in one process, with the original's command line.
//!
//! In reading order: [`args`] is the command line, [`go_flags`] its spelling; [`proxy`] puts the
//! process together; `own_shards` are the shards in it; [`own_disk`] is what a backend on this machine has under its system
//! directories; [`backend`] is a complete REAPI v2 server for those who have none: storage on disk,
//! action cache, execution. The gateway and the shard speak to it as they would to any other, over
//! a channel, and cannot tell.

pub mod args;
pub mod backend;
pub mod go_flags;
pub mod own_disk;
mod own_shards;
pub mod proxy;
