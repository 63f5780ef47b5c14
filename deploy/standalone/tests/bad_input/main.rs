//! Bad input is answered with what is wrong with it, and harms nothing and nobody else.
//!
//! `bodies` is what comes before a message is read, `files` is contents, `requests` is compiles.

mod bodies;
mod files;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use support::bench::{Bench, KEPT};
