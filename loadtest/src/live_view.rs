//! How a load run is going, on standard error: a line that changes, or now and then another line.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use goma_loadtest::load::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often there is a line where there is no terminal, in seconds.
const LINE_EACH: u64 = 10;

/// The view.
pub(crate) struct LiveView {
    duration: Duration,
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// The next line, in seconds since the end of the warm-up.
    next_line: Cell<u64>,
}

impl LiveView {
    /// Of a run of this duration, where that is known.
    pub(crate) fn new(duration: Option<Duration>) -> Self {
        let duration = duration.unwrap_or_default();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(duration.as_secs().max(1));
            // The template is ours; the default bar is good enough should it ever not parse.
            if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {pos}/{len} s  {wide_msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { duration, bar, next_line: Cell::new(LINE_EACH) }
    }

    pub(crate) fn show(&self, progress: &Progress) {
        let words = words(progress);
        let elapsed = match progress {
            Progress::Running { elapsed, .. } => Some(elapsed.as_secs_f64().round() as u64),
            _ => None,
        };
        match &self.bar {
            Some(bar) => {
                bar.set_position(elapsed.unwrap_or(0).min(self.duration.as_secs()));
                bar.set_message(words);
            }
            None => {
                if let Some(elapsed) = elapsed.filter(|elapsed| *elapsed >= self.next_line.get()) {
                    self.next_line.set(elapsed - elapsed % LINE_EACH + LINE_EACH);
                    eprintln!("{elapsed} s: {words}");
                }
            }
        }
    }

    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::Preparing(words) => words.clone(),
        Progress::WarmingUp { .. } => "warming up".to_owned(),
        Progress::Running { rate, p50, p99, errors, dropped, under_way, .. } => format!(
            "{rate:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, {errors} not right, {dropped} dropped, \
             {under_way} under way"
        ),
    }
}
