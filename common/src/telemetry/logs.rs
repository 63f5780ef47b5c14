//! Logs of a process: lines for people, or objects for machines.

use std::fmt::{self, Write};
use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::args::{LogFormat, TelemetryArgs};

/// What is logged, which may be changed.
pub(super) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// In the syntax of `RUST_LOG`.
    pub(super) fn told(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Changes it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn set(&self, filter: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// A layer of logs.
pub(super) type Logs = Box<dyn Layer<Registry> + Send + Sync>;

/// Logs to standard error as the flags say.
///
/// # Errors
/// When the filter cannot be read.
pub(super) fn layer(args: &TelemetryArgs) -> Result<(Logs, Filter), String> {
    let filter = &args.log;
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = match args.log_format {
        LogFormat::Text => text(std::io::stderr, std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => json(std::io::stderr).boxed(),
    };
    Ok((lines.with_filter(filter).boxed(), Filter(handle)))
}

/// Lines for people. One event is one line, whatever clients and backends say: their words are in
/// many fields, and a line break in them would let them write lines of their own.
fn text<S, W>(writer: W, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(colours)
        .fmt_fields(debug_fn(field).delimited(" "))
        .with_writer(writer)
}

/// One JSON object an event, the spans that it is in among it.
fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    lines.with_current_span(false).with_span_list(true).with_writer(writer)
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
    use tracing_subscriber::layer::SubscriberExt;

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
        let logs = Registry::default().with(text(move || made.clone(), false));
        dispatcher::with_default(&logs.into(), || {
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

    #[test]
    fn for_machines_each_line_is_an_object_with_the_fields_of_its_spans() {
        let lines = Lines::default();
        let made = lines.clone();
        let logs = Registry::default().with(json(move || made.clone()));
        dispatcher::with_default(&logs.into(), || {
            let _span = tracing::info_span!("exec", trace = "4bf9").entered();
            tracing::info!(ms = 7, "first\nsecond");
        });
        let log = lines.0.lock().expect("no panic").clone();
        let log = String::from_utf8(log).expect("text");
        assert_eq!(log.lines().count(), 1, "{log}");
        let line: serde_json::Value = serde_json::from_str(&log).expect("an object");
        assert_eq!(line["message"], "first\nsecond");
        assert_eq!(line["ms"], 7);
        assert_eq!(line["spans"][0]["trace"], "4bf9");
    }
}
