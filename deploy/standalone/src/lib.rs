//! What `remoteexec_proxy` adds to gateway and shard: a backend of its own, for those who have none.
//!
//! [`backend`] is a complete REAPI v2 server: storage on disk, action cache, execution. The gateway
//! and the shard speak to it as they would to any other, over a channel, and cannot tell.

pub mod backend;
