//! The figures of several runs in a table, and by how much they differ.

use std::collections::BTreeSet;

use super::load::LoadReport;

/// Takes a figure out of a run, where it has one.
type Of = dyn Fn(&LoadReport) -> Option<f64>;

/// A figure of a run, and with how many digits it is told.
struct Figure {
    name: String,
    of: Box<Of>,
    digits: usize,
}

/// A row a figure, a column a run, and how the others differ from the first.
pub(super) fn table(runs: &[(String, LoadReport)]) -> Vec<Vec<String>> {
    let mut head = vec![String::new()];
    for (n, (name, _)) in runs.iter().enumerate() {
        head.push(name.clone());
        if n > 0 {
            head.push("difference".to_owned());
        }
    }
    let mut rows = vec![head];
    for Figure { name, of, digits } in figures(runs) {
        let first = runs.first().and_then(|(_, run)| of(run));
        let mut row = vec![name];
        for (n, (_, run)) in runs.iter().enumerate() {
            let value = of(run);
            row.push(value.map_or("–".to_owned(), |value| format!("{value:.digits$}")));
            if n > 0 {
                row.push(difference(first, value));
            }
        }
        rows.push(row);
    }
    rows
}

fn figures(runs: &[(String, LoadReport)]) -> Vec<Figure> {
    let mut figures = vec![
        figure("requests", 0, |run| Some(run.requests as f64)),
        figure("not right", 0, |run| Some(run.wrong() as f64)),
        figure("dropped", 0, |run| Some(run.dropped as f64)),
        figure("right answers a second", 1, |run| Some(run.rate)),
        figure("MB/s", 1, |run| Some(run.throughput_mb_s)),
        figure("mean, ms", 2, |run| Some(run.latency_ms.mean)),
        figure("p50, ms", 2, |run| Some(run.latency_ms.p50)),
        figure("p90, ms", 2, |run| Some(run.latency_ms.p90)),
        figure("p99, ms", 2, |run| Some(run.latency_ms.p99)),
        figure("p99.9, ms", 2, |run| Some(run.latency_ms.p99_9)),
        figure("max, ms", 2, |run| Some(run.latency_ms.max)),
    ];
    let mut sizes: Vec<usize> =
        runs.iter().flat_map(|(_, run)| run.settings.inputs.iter().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let of = move |run: &LoadReport| {
            run.by_inputs.get(&size.to_string()).map(|size| size.latency_ms.p50)
        };
        figures.push(figure(&format!("p50 with {size} inputs, ms"), 2, of));
    }
    if runs.iter().any(|(_, run)| run.server.is_some()) {
        let server = |run: &LoadReport| run.server.clone();
        figures.push(figure("server's CPU a request, ms", 3, move |run| {
            server(run).map(|server| server.cpu_ms_a_request)
        }));
        figures.push(figure("server's memory at the end, MB", 1, move |run| {
            server(run).map(|server| server.resident_bytes as f64 / 1e6)
        }));
        figures.push(figure("server's memory at most, MB", 1, move |run| {
            server(run).map(|server| server.peak_resident_bytes as f64 / 1e6)
        }));
    }
    for stage in stages(runs) {
        let of = {
            let stage = stage.clone();
            move |run: &LoadReport| Some(run.stages.as_ref()?.get(&stage)?.mean)
        };
        figures.push(figure(&format!("stage {stage}, mean ms"), 3, of));
    }
    figures
}

/// The names of all stages that any of them tells of.
pub(super) fn stages(runs: &[(String, LoadReport)]) -> BTreeSet<String> {
    runs.iter().flat_map(|(_, run)| run.stages.iter().flatten()).map(|(s, _)| s.clone()).collect()
}

fn figure(name: &str, digits: usize, of: impl Fn(&LoadReport) -> Option<f64> + 'static) -> Figure {
    Figure { name: name.to_owned(), of: Box::new(of), digits }
}

/// By how much of itself the first became another.
fn difference(first: Option<f64>, other: Option<f64>) -> String {
    match (first, other) {
        (Some(first), Some(other)) if first != 0.0 => {
            format!("{:+.1} %", (other / first - 1.0) * 100.0)
        }
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_share_of_the_first() {
        assert_eq!(difference(Some(10.0), Some(5.0)), "-50.0 %");
        assert_eq!(difference(Some(10.0), Some(10.5)), "+5.0 %");
        assert_eq!(difference(Some(0.0), Some(5.0)), "–");
        assert_eq!(difference(None, Some(5.0)), "–");
    }

    #[test]
    fn each_run_after_the_first_has_its_difference() {
        let run = |rate| LoadReport { rate, ..Default::default() };
        let runs = [("a", 10.0), ("b", 20.0), ("c", 5.0)];
        let table = table(&runs.map(|(name, rate)| (name.to_owned(), run(rate))));
        assert_eq!(table[0], ["", "a", "b", "difference", "c", "difference"]);
        let rate = table.iter().find(|row| row[0] == "right answers a second").expect("a row");
        assert_eq!(rate[1..], ["10.0", "20.0", "+100.0 %", "5.0", "-50.0 %"]);
    }
}
