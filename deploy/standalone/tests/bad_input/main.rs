//! Bad input is answered with what is wrong with it, and harms nothing and nobody else.
//!
//! `bodies` is what comes before a message is read, `files` is contents, `requests` is compiles.

mod bodies;
mod files;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use support::goma::{Goma, file, key};
use support::process::{Program, temp_dir};
use support::requests::{gcc, object, with, with_key};

/// A file of before.
const KEPT: &[u8] = b"int kept(int x) { return x + 41; }\n";

/// A server that holds a file and a result already.
struct Bench {
    program: Program,
    goma: Goma,
    kept_object: Vec<u8>,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let dir = temp_dir();
        let program = Program::proxy(dir.path(), &[]).await;
        let goma = program.goma();
        let answer = goma.exec(&with(gcc("/home/a/src", "kept.c"), "kept.c", &file(KEPT))).await;
        Self { program, goma, kept_object: object(&answer), _dir: dir }
    }

    /// What every test ends with: nothing that went before did any harm.
    async fn is_unharmed(&self) {
        assert_eq!(self.program.get("/healthz").await.status, 200);
        let kept = file(KEPT);
        assert!(self.goma.lookup(vec![key(&kept)]).await == std::slice::from_ref(&kept));
        // By its key alone; the other name is so far unheard of, so that gcc runs.
        let fresh = with_key(gcc("/home/a/src", "fresh.c"), "fresh.c", &key(&kept));
        assert_ne!(object(&self.goma.exec(&fresh).await), b"");
        let again = with_key(gcc("/home/a/src", "kept.c"), "kept.c", &key(&kept));
        let again = self.goma.exec(&again).await;
        assert_eq!(object(&again), self.kept_object);
        assert_ne!(again.cache_hit.unwrap_or(0), 0, "the result of before is forgotten");
    }
}
