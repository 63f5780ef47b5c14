//! What must hold in every order, one file a part of the shard.

pub(crate) mod flights;
pub(crate) mod joins;
pub(crate) mod presence;
pub(crate) mod uploads;
