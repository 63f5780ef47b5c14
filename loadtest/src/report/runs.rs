//! Load runs as a page: tables and pictures of one, or of several side by side.

use super::bars::Bars;
use super::compared;
use super::load::LoadReport;
use super::page::Page;
use super::plot::{Plot, Series};

/// Runs by name; the others are compared with the first.
pub struct Runs {
    runs: Vec<(String, LoadReport)>,
}

impl Runs {
    /// These, in this order.
    #[must_use]
    pub fn new(runs: Vec<(String, LoadReport)>) -> Self {
        Self { runs }
    }

    /// The page; it needs nothing from elsewhere.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = Page::new("Load on a Goma server");
        for (name, run) in &self.runs {
            let settings = &run.settings;
            let pace = match (settings.rate, settings.workers) {
                (Some(rate), _) => format!("{rate} requests a second are due"),
                (None, workers) => format!("{} requests under way", workers.unwrap_or(0)),
            };
            let inputs: Vec<String> = settings.inputs.iter().map(usize::to_string).collect();
            page.text(&format!(
                "{name}: {} on {}, {pace}, {} inputs of {} bytes, {:.0} s after {:.0} s of warm-up, \
                 seed {}.",
                settings.verb,
                settings.server,
                inputs.join(", "),
                settings.input_bytes,
                settings.duration_s,
                settings.warmup_s,
                settings.seed
            ));
            if let Some(doubt) = run.doubt() {
                page.text(&format!("Beware of {name}: {doubt}."));
            }
        }
        page.table(&compared::table(&self.runs));
        self.pictures(&mut page);
        page.html()
    }

    fn pictures(&self, page: &mut Page) {
        let over_time = |of: fn(&LoadReport) -> Vec<(f64, f64)>| self.series(of);
        let p99 = over_time(|run| run.series.iter().map(|s| (s.at_s as f64, s.p99)).collect());
        let p50 = over_time(|run| run.series.iter().map(|s| (s.at_s as f64, s.p50)).collect());
        let rate = over_time(|run| {
            run.series.iter().map(|s| (s.at_s as f64, s.requests as f64)).collect()
        });
        let curve = over_time(|run| {
            let told = run.curve.iter().filter(|(percent, _)| *percent < 100.0);
            told.map(|(percent, millis)| (nines(*percent), *millis)).collect()
        });
        let cpu = over_time(|run| {
            let series = run.server.iter().flat_map(|server| &server.series);
            series.map(|s| (s.at_s, s.cpu_ms_a_second / 1e3)).collect()
        });
        let memory = over_time(|run| {
            let series = run.server.iter().flat_map(|server| &server.series);
            series.map(|s| (s.at_s, s.resident_bytes as f64 / 1e6)).collect()
        });
        let over_seconds = |y, series| Plot { x: "due", at: seconds, y, series, mark: None };
        picture(page, "Latency over time", over_seconds("p99, ms", p99));
        picture(page, "Half of the latencies over time", over_seconds("p50, ms", p50));
        picture(page, "Requests over time", over_seconds("a second", rate));
        let nines =
            Plot { x: "percentile", at: percentile, y: "latency, ms", series: curve, mark: None };
        picture(page, "Percentiles", nines);
        picture(page, "The server's CPU over time", over_seconds("cores", cpu));
        picture(page, "The server's memory over time", over_seconds("MB", memory));
        let stages = compared::stages(&self.runs);
        if !stages.is_empty() {
            page.heading("Stages");
            let names = self.runs.iter().map(|(name, _)| name.clone()).collect();
            let groups = stages.into_iter().map(|stage| {
                let values =
                    self.runs.iter().map(|(_, run)| Some(run.stages.as_ref()?.get(&stage)?.mean));
                (stage.clone(), values.collect())
            });
            let bars = Bars { unit: "ms", names, groups: groups.collect() };
            page.picture(&bars.svg(), "What the server says it spends on a request, mean.");
        }
    }

    fn series(&self, of: fn(&LoadReport) -> Vec<(f64, f64)>) -> Vec<Series<'_>> {
        let told = self.runs.iter().map(|(name, run)| Series { name, points: of(run) });
        told.filter(|series| !series.points.is_empty()).collect()
    }
}

/// Where a percentile stands on an axis on which 90, 99 and 99.9 are equally far apart.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn seconds(at: &f64) -> String {
    format!("{at:.0} s")
}

/// A run of one second, or without a server's process, has no picture.
fn picture(page: &mut Page, title: &str, plot: Plot<'_>) {
    if let Ok(svg) = plot.svg() {
        page.heading(title);
        page.picture(&svg, &format!("{title}: {}.", plot.y));
    }
}

fn percentile(at: &f64) -> String {
    let percent = 100.0 * (1.0 - 10_f64.powf(-at));
    let digits = (at.round().max(0.0) as usize).saturating_sub(2).max(1);
    format!("{percent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::super::load::{SecondReport, ServerReport, ServerSecond, StageReport};
    use super::*;

    fn run(p99: f64) -> LoadReport {
        let second =
            |at_s| SecondReport { at_s, requests: 10, p99, p50: 1.0, ..Default::default() };
        let mut run = LoadReport {
            requests: 20,
            curve: vec![(0.0, 1.0), (50.0, 2.0), (99.0, p99), (100.0, p99)],
            series: vec![second(0), second(1)],
            ..Default::default()
        };
        run.latency_ms.p99 = p99;
        run.settings.inputs = vec![100];
        run
    }

    #[test]
    fn runs_are_compared_with_the_first() {
        let page = Runs::new(vec![("before".into(), run(10.0)), ("after".into(), run(5.0))]).page();
        for told in ["before", "after", "10.00", "5.00", "-50.0 %", "difference", "Percentiles"] {
            assert!(page.contains(told), "no {told}");
        }
        assert!(!page.contains("Stages") && !page.contains("CPU"));
    }

    #[test]
    fn what_servers_tell_of_themselves_has_its_pictures() {
        let mut told = run(3.0);
        let stage = StageReport { answers: 1, mean: 0.25, p99: 1.0 };
        told.stages = Some([("job".to_owned(), stage)].into());
        let second = |at_s| ServerSecond { at_s, cpu_ms_a_second: 500.0, resident_bytes: 9 };
        let series = vec![second(1.0), second(2.0)];
        told.server = Some(ServerReport { series, ..Default::default() });
        let page = Runs::new(vec![("a".into(), told)]).page();
        for told in ["Stages", "job", "0.250", "CPU over time", "memory over time"] {
            assert!(page.contains(told), "no {told}");
        }
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="));
    }

    #[test]
    fn a_run_without_figures_is_a_page_all_the_same() {
        let page = Runs::new(vec![("empty".into(), LoadReport::default())]).page();
        assert!(page.contains("empty") && !page.contains("<svg"));
    }

    #[test]
    fn nines_are_equally_far_apart() {
        assert_eq!(nines(0.0).round() as i64, 0);
        assert!((nines(99.9) - 3.0).abs() < 1e-6);
        assert_eq!(percentile(&1.0), "90.0 %");
        assert_eq!(percentile(&3.0), "99.9 %");
        assert_eq!(percentile(&4.0), "99.99 %");
    }
}
