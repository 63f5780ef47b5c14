//! Recorded exchanges, replayed: what was recorded is what is answered.
//!
//! `exchanges/` beside this directory holds our own, which `record` makes and which need nothing but
//! a shell: their compiler is a script. Those of the stock client with the original server lie
//! outside of the tree, or where `GOMA_CAPTURES_DIR` says, and are replayed where they are present.

mod local;
mod record;
mod recording;
mod replay;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use recording::Recording;
use replay::{Replay, Round};
use support::process::{Program, temp_dir};

/// Cold, warm, and warm after a restart.
async fn replay(recording: &Recording, args: &[&str]) {
    let dir = temp_dir();
    let mut program = Program::proxy(dir.path(), args).await;
    let mut replay = Replay::new(recording);
    replay.store_what_is_never_sent(program.goma()).await;
    replay.run(program.port, Round::Cold).await;
    replay.run(program.port, Round::Warm).await;

    program.terminate();
    assert!(program.ended().await.success());
    program = Program::proxy(dir.path(), args).await;
    replay.run(program.port, Round::Warm).await;
    eprintln!("{} exchanges replayed, {} skipped", replay.compared, replay.skipped);
    assert!(replay.compared > 0, "nothing was compared");
}

#[tokio::test]
async fn our_own_exchanges_are_answered_as_recorded() {
    replay(&Recording::read(&record::dir()), record::SERVER).await;
}

#[tokio::test]
async fn the_stock_clients_exchanges_are_answered_as_the_original_did() {
    let dir = std::env::var_os("GOMA_CAPTURES_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures/small"),
        PathBuf::from,
    );
    if !dir.join("manifest.json").is_file() {
        eprintln!("skipped: no captures in {}", dir.display());
        return;
    }
    replay(&Recording::read(&dir), &[]).await;
}
