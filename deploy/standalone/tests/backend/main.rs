//! The embedded backend as its clients see it: a real server, over connections in memory.
//!
//! `farm` starts one and speaks to it; each other module is one service or one promise.

mod action;
mod cache;
mod cas;
mod eviction;
mod execute;
mod farm;
mod given_up;
mod inputs;
mod outputs;
mod restart;
mod sandbox;
mod stages;
