//! Logs of a process, for people on a terminal.

use std::fmt::{self, Write};
use std::io::IsTerminal;

use tracing::Dispatch;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::SubscriberInitExt;

/// Logs to standard error at `filter`, in the syntax of `RUST_LOG` ("info", "goma_gateway=debug").
///
/// # Errors
/// When the filter cannot be read, or logging was set up before.
pub fn init(filter: &str) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    to(std::io::stderr, filter, std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error.to_string())
}

/// Logs to a writer. One event is one line, whatever clients and backends say: their words are in
/// many fields, and a line break in them would let them write lines of their own.
fn to<W>(writer: W, filter: EnvFilter, colours: bool) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(colours)
        .fmt_fields(debug_fn(field).delimited(" "))
        .with_writer(writer);
    logs.into()
}

/// Writes a field, of an event or a span.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut line = OneLine(writer);
    match field.name() {
        "message" => write!(line, "{value:?}"),
        name => write!(line, "{name}={value:?}"),
    }
}

/// Writes control characters as escapes: line breaks, and what would move a terminal's cursor.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(ends_line) {
            let mut rest = part.chars();
            match rest.next_back().filter(|last| ends_line(*last)) {
                Some(last) => write!(self.0, "{}{}", rest.as_str(), last.escape_default())?,
                None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// Control characters, and the two by which Unicode separates lines and paragraphs.
fn ends_line(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::dispatcher;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobodys_words_begin_a_line() {
        let words = "gone\nERROR forged\r\u{1b}[2J\u{85}\u{2028}end";
        let lines = Lines::default();
        let made = lines.clone();
        let logs = to(move || made.clone(), EnvFilter::new("info"), false);
        dispatcher::with_default(&logs, || {
            let _span = tracing::info_span!("exec", client = %words).entered();
            tracing::warn!(error = %words, why = words, "refused: {words}");
        });
        let log = lines.0.lock().expect("no panic").clone();
        let log = String::from_utf8(log).expect("text");
        assert_eq!(log.matches(ends_line).count(), 1, "{log:?}");
        assert!(log.ends_with('\n'), "{log:?}");
        for told in ["refused: gone\\nERROR forged\\r\\u{1b}[2J", "error=gone\\n", "client=gone\\n"]
        {
            assert!(log.contains(told), "{told} in {log:?}");
        }
        assert!(log.contains("why=\"gone\\n"), "text is still quoted: {log:?}");
    }
}
