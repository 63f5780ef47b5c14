//! A gateway: the Goma protocol over HTTP, turned into Remote Execution API actions.
//!
//! In reading order: [`http`] takes requests in and gives answers out; [`peer`] says where they come from,
//! [`identity`] who they are from; [`exec`] is the path of a compile, whose `mod.rs` reads as its ten stages; [`command`] knows what a command line means;
//! [`paths`] and [`file_blob`] are the values of the Goma protocol; [`worker`] says what the
//! workers have under their system directories; [`ring`] is all shards of a cluster as one, for the
//! program `goma-gateway`; [`platforms`] are several backends in place of one. [`trail`] notes what becomes of
//! each request, [`metrics`] counts that and [`status`] shows it.
//!
//! A gateway keeps nothing between requests but caches. It meets the shards only behind the trait
//! [`goma_common::shards::Shards`].

mod admission;
mod answer;
pub mod args;
mod carried;
mod cli;
mod command;
mod command_blob;
mod config;
pub mod doctor;
mod exec;
mod fair;
mod file_blob;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gateway;
mod http;
pub mod identity;
mod joined;
mod lookup_file;
mod metrics;
mod outcome;
mod output_views;
mod paths;
pub mod peer;
mod per_account;
mod place;
pub mod platforms;
mod posted;
mod readiness;
mod refusal;
pub mod ring;
mod room;
mod run;
mod served;
mod server;
mod setting_args;
mod shares;
mod source;
mod status;
mod store_file;
mod sync;
mod text_form;
mod toml_error;
mod trail;
mod windows_path;
pub mod worker;

pub use cli::Cli;
pub use command::Flags;
pub use config::{GatewayConfig, Timeouts};
pub use files::Files;
pub use gateway::Gateway;
pub use http::app;
pub use joined::Joined;
pub use place::Place;
pub use run::run;
pub use server::{Port, serve};
pub use status::pages;
