//! A server that holds a file and a result already, and what shows that nothing did it any harm.

use std::path::{Path, PathBuf};

use super::goma::{Goma, file, key};
use super::process::{Program, temp_dir};
use super::requests::{gcc, object, with, with_key};

/// A file of before.
pub const KEPT: &[u8] = b"int kept(int x) { return x + 41; }\n";

/// The server, its embedded backend included.
pub struct Bench {
    pub program: Program,
    pub goma: Goma,
    kept_object: Vec<u8>,
    dir: tempfile::TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One with these flags.
    pub async fn with(flags: &[&str]) -> Self {
        let dir = temp_dir();
        let program = Program::proxy(dir.path(), flags).await;
        let goma = program.goma();
        let answer = goma.exec(&with(gcc("/home/a/src", "kept.c"), "kept.c", &file(KEPT))).await;
        Self { program, goma, kept_object: object(&answer), dir }
    }

    /// What every test ends with: nothing that went before did any harm.
    pub async fn is_unharmed(&self) {
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

    /// How many blobs and results the embedded backend holds. A compile that is executed adds some.
    pub fn stored(&self) -> usize {
        let backend = self.data_dir().join("backend");
        ["blobs", "programs", "results"].iter().map(|kind| files(&backend.join(kind))).sum()
    }

    /// Where the server keeps its files.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let count = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => 1,
    };
    entries.map(count).sum()
}
