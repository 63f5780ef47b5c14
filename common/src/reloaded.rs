//! Something made of files that is made again when they change. Bad files keep what was there before,
//! and that is said.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::error::Result;
use crate::telemetry::metrics;

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(1);

static RELOADS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    metrics::counter("goma_reloads", "Files that changed, by whether they were taken")
});

type Make<T> = Box<dyn Fn(Option<&T>) -> Result<T> + Send + Sync>;

/// What the files say now, or something that never changes.
pub struct Reloaded<T> {
    files: Vec<PathBuf>,
    make: Option<Make<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    looked: Instant,
    stamps: Vec<Option<Stamp>>,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64);

impl<T> Reloaded<T> {
    /// Something that never changes.
    #[must_use]
    pub fn constant(value: T) -> Self {
        let state = State { value: Arc::new(value), looked: Instant::now(), stamps: Vec::new() };
        Self { files: Vec::new(), make: None, state: Mutex::new(state) }
    }

    /// Makes it of these files, which `make` reads.
    ///
    /// # Errors
    /// As `make` does.
    pub fn open(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::open_after(files, move |_| make())
    }

    /// The same, where `make` is shown what there was before: nothing at the first time.
    ///
    /// # Errors
    /// As `make` does.
    pub fn open_after(
        files: Vec<PathBuf>,
        make: impl Fn(Option<&T>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        let stamps = stamps(&files);
        let state = State { value: Arc::new(make(None)?), looked: Instant::now(), stamps };
        Ok(Self { files, make: Some(Box::new(make)), state: Mutex::new(state) })
    }

    /// What they say now, or said a second ago.
    pub fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(make) = &self.make
            && state.looked.elapsed() >= LOOK
        {
            state.looked = Instant::now();
            let stamps = stamps(&self.files);
            if stamps != state.stamps {
                state.stamps = stamps;
                let files: Vec<_> = self.files.iter().map(|file| file.display()).collect();
                let outcome = match make(Some(&state.value)) {
                    Ok(value) => {
                        tracing::info!(?files, "read again");
                        state.value = Arc::new(value);
                        "taken"
                    }
                    Err(error) => {
                        tracing::error!(%error, "what was said before is kept");
                        "kept"
                    }
                };
                self.count(outcome);
            }
        }
        state.value.clone()
    }

    /// Counts a change under the first of the files.
    fn count(&self, outcome: &'static str) {
        let file = self.files.first().map(|file| file.display().to_string()).unwrap_or_default();
        RELOADS.add(1, &[KeyValue::new("file", file), KeyValue::new("outcome", outcome)]);
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    fn later<T>(reloaded: &Reloaded<T>) {
        let mut state = reloaded.state.lock().expect("no panic");
        state.looked = Instant::now().checked_sub(LOOK).expect("it is not that early");
    }

    #[test]
    fn a_new_version_is_seen_and_a_bad_one_is_not_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("number");
        let open = || {
            let read = file.clone();
            Reloaded::open(vec![file.clone()], move || {
                let text = std::fs::read_to_string(&read).unwrap_or_default();
                let number = text.trim().parse::<u32>();
                number.map_err(|_| Error::new(Code::InvalidArgument, "no number"))
            })
        };
        assert!(open().is_err(), "there is no file");
        std::fs::write(&file, "1").expect("writes");
        let reloaded = open().expect("a number");
        for (text, said) in [("22", 22), ("two", 22), ("4444", 4444)] {
            std::fs::write(&file, text).expect("writes");
            later(&reloaded);
            assert_eq!(*reloaded.get(), said, "{text}");
        }
        std::fs::remove_file(&file).expect("removes");
        later(&reloaded);
        assert_eq!(*reloaded.get(), 4444);
    }
}
