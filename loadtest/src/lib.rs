//! A Goma client as a library, and what can be done with many of them.
//!
//! In reading order: [`client`] compiles one thing on a server as the stock client would; [`stock`]
//! is that client's temper, [`http`] its way of speaking HTTP; [`build`] compiles everything that a
//! `compile_commands.json` names; [`report`] is what a run says in JSON. [`cluster`] runs a whole
//! cluster on this machine, [`chaos`] breaks it under builds, [`herd`] is many users at once.
//! [`load`] measures a server under a load of the user's choice, [`worker`] compares its workers with this machine.
//! [`token_service`] makes the stock client's retries work. [`simulate`] is a fleet on paper, and alone in knowing how a server works inside: all else sees it
//! from a user's machine.

pub mod build;
pub mod chaos;
pub mod client;
pub mod cluster;
pub mod conformance;
mod error;
pub mod herd;
pub mod http;
pub mod load;
mod lock;
pub mod report;
pub mod simulate;
mod sources;
pub mod stock;
pub mod token_service;
pub mod worker;

pub use client::{Client, ClientConfig, Compile, Outcome};
pub use error::{Error, Result};
pub use http::Server;
