//! Counts that were written down, and what is slower than they say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// More than this is a regression: another release of the compiler moves counts by a few percent.
const TOLERATED: f64 = 1.10;

/// Counts by name, one a line.
#[derive(Default)]
pub(crate) struct Baseline(BTreeMap<String, u64>);

impl Baseline {
    pub(crate) fn add(&mut self, name: String, count: u64) {
        self.0.insert(name, count);
    }

    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let line = |line: &str| {
            let (name, count) = line.split_once(' ').expect("a name and a count");
            (name.to_owned(), count.trim().parse().expect("a count"))
        };
        Self(text.lines().map(line).collect())
    }

    pub(crate) fn write(&self, file: &Path) {
        let text = self.0.iter().fold(String::new(), |mut text, (name, count)| {
            let _ = writeln!(text, "{name} {count}");
            text
        });
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Prints what changed, and answers whether nothing became much slower. The floor is the same work
    /// done by libraries: where it moved too, the compiler or a library did it.
    pub(crate) fn is_as_fast_as(&self, before: &Self) -> bool {
        println!("\n{:>14}  {:>12}  {:>12}  {:>7}", "", "before", "now", "change");
        let mut fast = true;
        for (name, count) in &self.0 {
            let Some(then) = before.0.get(name) else { continue };
            let change = *count as f64 / (*then).max(1) as f64;
            let floor = name.split_once('-').and_then(|(_, size)| {
                let floor = format!("floor-{size}");
                Some(*self.0.get(&floor)? as f64 / *before.0.get(&floor)? as f64)
            });
            let slower = change > TOLERATED * floor.unwrap_or(1.0).max(1.0);
            let told = if slower { "  slower" } else { "" };
            let percent = 100.0 * (change - 1.0);
            println!("{name:>14}  {then:>12}  {count:>12}  {percent:>+6.1}%{told}");
            fast &= !slower || name.starts_with("floor");
        }
        fast
    }
}
