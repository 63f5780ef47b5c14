//! The report of a simulated day as a page with pictures.

use std::io;

use super::counts::Counts;
use super::report::SimulateReport;
use crate::report::{Page, Plot, Series};

/// The day begins then.
const SIX: f64 = 6.0;
/// Before it there is nothing to draw: the first build is in the table.
const NINE: usize = 180;
const QUARTER_PAST_TEN: f64 = 10.25;

impl SimulateReport {
    /// The page.
    ///
    /// # Errors
    /// When there is nothing to draw: nobody compiled.
    pub fn page(&self) -> io::Result<String> {
        let config = &self.config;
        let mut page = Page::new("A simulated day of a Goma cluster");
        page.text(&format!(
            "{} developers at -j{} on one tree of {} sources and {} headers; {} gateways, {} shards, \
             {}. The tree is built at 6:00, everybody syncs and builds from 9:00 on, then each makes \
             {} builds an hour of own edits, one in five after another sync; {} commits an hour. \
             Rings, shards and the gateways' caches of keys are the server's own code; network, \
             Redis, backend and people are made up. Seed {}.",
            config.developers,
            config.jobs,
            config.sources,
            config.headers,
            config.gateways,
            config.shards,
            if config.redis { "one Redis" } else { "no Redis: each shard knows what it saw itself" },
            config.builds_per_hour,
            config.commits_per_hour,
            config.seed,
        ));
        page.heading("Phases");
        page.table(&self.rows());
        page.text("Calls and questions are those of a compile in the mean.");
        page.heading("What a compile asks of the backend");
        let backend = self.by_minute("calls a compile", |counts| {
            let per = |count: u64| count as f64 / counts.compiles as f64;
            [
                ("GetActionResult", per(counts.get_action_result)),
                ("Execute", per(counts.execute)),
                ("FindMissingBlobs", per(counts.find_missing)),
                ("BatchUpdateBlobs", per(counts.batch_update)),
            ]
        });
        page.picture(&backend.svg()?, "Calls of each kind, minute by minute.");
        page.heading("What a compile asks of shards and Redis");
        let cluster = self.by_minute("questions a compile", |counts| {
            let per = |count: u64| count as f64 / counts.compiles as f64;
            [("to shards", per(counts.shard_questions)), ("to Redis", per(counts.redis_questions))]
        });
        page.picture(&cluster.svg()?, "A question may be about hundreds of keys or digests.");
        page.heading("Compiles");
        let compiles = self.by_minute("a second", |counts| {
            [("compiles", counts.compiles as f64 / 60.0), ("cached", counts.hits as f64 / 60.0)]
        });
        page.picture(&compiles.svg()?, "All of them, and those that the action cache answered.");
        page.heading("Load of each shard");
        page.picture(
            &self.loads().svg()?,
            "Keys and digests asked of each shard as a part of the mean, in each phase from the \
             one that is asked least to the one that is asked most; and what it owns of the ring.",
        );
        Ok(page.html())
    }

    fn by_minute<const N: usize>(
        &self,
        y: &'static str,
        figures: impl Fn(&Counts) -> [(&'static str, f64); N],
    ) -> Plot<'static> {
        let minutes = self.minutes.iter().enumerate().skip(NINE);
        let mut series: Vec<Series<'static>> =
            figures(&Counts::default()).map(|(name, _)| Series { name, points: Vec::new() }).into();
        for (minute, counts) in minutes.filter(|(_, counts)| counts.compiles > 0) {
            for (series, (_, figure)) in series.iter_mut().zip(figures(counts)) {
                series.points.push((SIX + minute as f64 / 60.0, figure));
            }
        }
        let mark = (self.config.lost > 0).then_some(QUARTER_PAST_TEN);
        Plot { x: "time of day", at: clock, y, series, mark }
    }

    fn loads(&self) -> Plot<'_> {
        let ranked = |mut loads: Vec<f64>| {
            loads.sort_by(f64::total_cmp);
            let mean = loads.iter().sum::<f64>() / loads.len() as f64;
            let ranked = loads.into_iter().map(|load| load / mean);
            ranked.enumerate().map(|(rank, load)| (rank as f64, load)).collect()
        };
        let mut series = vec![Series {
            name: "owned",
            points: ranked(self.shards.iter().map(|shard| shard.share).collect()),
        }];
        series.extend(self.phases.iter().enumerate().map(|(number, phase)| {
            let loads = self.shards.iter().map(|shard| shard.loads[number].items as f64);
            let mut loads: Vec<f64> = loads.collect();
            loads.sort_by(f64::total_cmp);
            // Those that are lost are asked least.
            let left = loads.split_off(loads.len() - phase.shards);
            Series { name: &phase.name, points: ranked(left) }
        }));
        Plot {
            x: "shards, from the least asked to the most asked",
            at: |rank| format!("{rank:.0}"),
            y: "part of the mean",
            series,
            mark: None,
        }
    }
}

/// 9.5 is 9:30.
fn clock(hours: &f64) -> String {
    let minutes = (hours * 60.0).round() as u64;
    format!("{}:{:02}", minutes / 60, minutes % 60)
}
