//! A bar on a terminal that counts compiles; nothing where there is no terminal.

use std::future::Future;

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of one phase.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(phase: &'static str, total: usize) -> Self {
        let bar = ProgressBar::new(total as u64).with_prefix(phase);
        let template = "{prefix:>6} [{bar:40}] {pos}/{len} {elapsed}";
        // The template is ours; the default bar is good enough should it ever not parse.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Counts when `work` is done.
    pub(super) async fn count<T>(&self, work: impl Future<Output = T>) -> T {
        let result = work.await;
        self.bar.inc(1);
        result
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
