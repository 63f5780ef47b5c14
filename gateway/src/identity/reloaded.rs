//! A file that is read again when it changes. A bad one keeps what was there before, and says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use goma_common::{Code, Error, Result};

/// How often it is looked whether the file has changed.
const LOOK: Duration = Duration::from_secs(1);

type Parse<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// What a file says now, or something that never changes.
pub(crate) struct Reloaded<T> {
    file: Option<(PathBuf, Parse<T>)>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    looked: Instant,
    stamp: Option<Stamp>,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64);

impl<T> Reloaded<T> {
    /// Something that never changes.
    pub(crate) fn constant(value: T) -> Self {
        let state = State { value: Arc::new(value), looked: Instant::now(), stamp: None };
        Self { file: None, state: Mutex::new(state) }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag and the file, when it cannot be read or is wrong.
    pub(crate) fn open(
        flag: &str,
        file: PathBuf,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self> {
        let stamp = stamp(&file);
        let value = read(&file, &parse).map_err(|why| {
            Error::new(Code::InvalidArgument, format!("{flag} {}: {why}", file.display()))
        })?;
        let state = State { value: Arc::new(value), looked: Instant::now(), stamp };
        Ok(Self { file: Some((file, Box::new(parse))), state: Mutex::new(state) })
    }

    /// What it says now, or said a second ago.
    pub(crate) fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((file, parse)) = &self.file
            && state.looked.elapsed() >= LOOK
        {
            state.looked = Instant::now();
            let stamp = stamp(file);
            if stamp != state.stamp {
                state.stamp = stamp;
                match read(file, parse) {
                    Ok(value) => {
                        tracing::info!(file = %file.display(), "read again");
                        state.value = Arc::new(value);
                    }
                    Err(why) => {
                        let file = file.display();
                        tracing::error!(%file, why, "what it said before is kept");
                    }
                }
            }
        }
        state.value.clone()
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read<T>(file: &Path, parse: &dyn Fn(&str) -> Result<T, String>) -> Result<T, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u32, String> {
        text.trim().parse().map_err(|_| "no number".to_owned())
    }

    fn later<T>(reloaded: &Reloaded<T>) {
        let mut state = reloaded.state.lock().expect("no panic");
        state.looked = Instant::now().checked_sub(LOOK).expect("it is not that early");
    }

    #[test]
    fn a_new_version_is_seen_and_a_bad_one_is_not_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("number");
        let error = Reloaded::open("--number", file.clone(), number).err().expect("no file");
        assert!(error.message.starts_with("--number ") && error.message.contains("number: "));
        std::fs::write(&file, "1").expect("writes");
        let reloaded = Reloaded::open("--number", file.clone(), number).expect("a number");
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
