//! The day that is simulated: the tree is built at six, everybody syncs at nine, then works; in the
//! middle of that some shards are lost.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::SimulateConfig;
use super::cluster::{Answer, Cluster, Request};
use super::developer::Developer;
use super::random::mix;
use super::tree::Tree;

const MINUTE: Duration = Duration::from_secs(60);
/// From the beginning, which is six o'clock.
const NINE: Duration = Duration::from_secs(3 * 60 * 60);
const HALF_PAST_NINE: Duration = NINE.saturating_add(Duration::from_secs(30 * 60));
const QUARTER_PAST_TEN: Duration = NINE.saturating_add(Duration::from_secs(75 * 60));
/// End of the day.
pub(super) const ELEVEN: Duration = NINE.saturating_add(Duration::from_secs(2 * 60 * 60));
const TURNS: [(Duration, Turn); 5] = [
    (NINE, Turn::Morning),
    (HALF_PAST_NINE, Turn::Work),
    (QUARTER_PAST_TEN, Turn::Loss),
    (QUARTER_PAST_TEN.saturating_add(MINUTE), Turn::Without),
    (ELEVEN, Turn::End),
];
/// A client tries a compile so often.
const ATTEMPTS: u64 = 5;

/// All that acts in a day.
pub(super) struct Day {
    config: SimulateConfig,
    tree: Tree,
    cluster: Cluster,
    developers: Vec<Arc<Mutex<Developer>>>,
    start: Instant,
}

/// Something that happens to all.
#[derive(Clone, Copy)]
enum Turn {
    Morning,
    Work,
    Loss,
    Without,
    End,
}

/// A build that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    at: Duration,
    developer: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sync,
    Work,
}

impl Day {
    pub(super) fn new(config: SimulateConfig, tree: Tree, cluster: Cluster) -> Self {
        let developers = (0..config.developers)
            .map(|number| Arc::new(Mutex::new(Developer::new(number as u64, config.seed, &tree))));
        Self { developers: developers.collect(), start: Instant::now(), config, tree, cluster }
    }

    /// Builds that are made in all, the first of everything included.
    pub(super) fn builds(config: &SimulateConfig) -> usize {
        1 + config.developers + Self::at_work(config)
    }

    /// Plays it. `done` hears of each build that ended.
    pub(super) async fn play(self: Arc<Self>, done: impl Fn() + Send + Sync + 'static) {
        let done: Arc<dyn Fn() + Send + Sync> = Arc::new(done);
        self.cluster.ledger.begin("6:00 the tree is built for the first time", &[]);
        let first = Developer::new(u64::MAX, self.config.seed, &self.tree);
        self.build(0, first.everything(&self.tree)).await;
        done();
        let mut builds = JoinSet::new();
        let mut plan = self.plan().into_iter().peekable();
        for (at, what) in TURNS {
            if self.config.lost == 0 && matches!(what, Turn::Loss | Turn::Without) {
                continue;
            }
            while let Some(planned) = plan.next_if(|planned| planned.at < at) {
                sleep_until(self.start + planned.at).await;
                let (day, done) = (self.clone(), done.clone());
                builds.spawn(async move {
                    day.planned(planned).await;
                    done();
                });
                while builds.try_join_next().is_some() {}
            }
            sleep_until(self.start + at).await;
            self.turn(what).await;
        }
        while builds.join_next().await.is_some() {}
        self.cluster.ledger.end();
    }

    async fn turn(&self, what: Turn) {
        let mut random = fastrand::Rng::with_seed(self.config.seed);
        let lost = random.choose_multiple(0..self.config.shards, self.config.lost);
        let ledger = &self.cluster.ledger;
        match what {
            Turn::Morning => ledger.begin("9:00 everybody syncs and builds", &[]),
            Turn::Work => ledger.begin("9:30 work", &[]),
            Turn::Loss => {
                ledger.begin(format!("10:15 {} shards are lost", lost.len()), &lost);
                self.cluster.lose(&lost, self.config.seed).await;
            }
            Turn::Without => ledger.begin("10:16 work without them", &lost),
            Turn::End => {}
        }
    }

    fn at_work(config: &SimulateConfig) -> usize {
        let hours = (ELEVEN - HALF_PAST_NINE).as_secs_f64() / 3600.0;
        (config.developers as f64 * config.builds_per_hour * hours) as usize
    }

    /// All builds after the first one, in order.
    fn plan(&self) -> Vec<Planned> {
        let mut random = fastrand::Rng::with_seed(self.config.seed ^ 1);
        let mut within = |from: Duration, to: Duration| from + (to - from).mul_f64(random.f64());
        let mut plan: Vec<Planned> = (0..self.developers.len())
            .map(|developer| {
                let at = within(NINE, HALF_PAST_NINE - MINUTE);
                Planned { at, developer, kind: Kind::Sync }
            })
            .collect();
        for number in 0..Self::at_work(&self.config) {
            let at = within(HALF_PAST_NINE, ELEVEN - MINUTE);
            let developer = mix(self.config.seed ^ mix(number as u64)) as usize;
            let developer = developer % self.developers.len();
            plan.push(Planned { at, developer, kind: Kind::Work });
        }
        plan.sort_unstable();
        plan
    }

    async fn planned(&self, planned: Planned) {
        let mut developer = self.developers[planned.developer].lock().await;
        let head = self.tree.head(self.start.elapsed());
        let requests = match planned.kind {
            Kind::Sync => developer.sync(&self.tree, head),
            Kind::Work => developer.work(&self.tree, head),
        };
        self.build(planned.developer as u64, requests).await;
    }

    /// Compiles all of these, so many at a time.
    async fn build(&self, developer: u64, requests: impl IntoIterator<Item = Request>) {
        let numbered = stream::iter(requests.into_iter().zip(0..));
        numbered
            .for_each_concurrent(self.config.jobs, |(request, number)| async move {
                self.compile(request, mix(developer << 24 ^ number)).await;
            })
            .await;
    }

    /// One compile as a client sees it: the balancer takes each request to any of the gateways.
    async fn compile(&self, request: Request, chance: u64) {
        let began = Instant::now();
        let ledger = &self.cluster.ledger;
        let mut sent = Vec::new();
        for attempt in 0..ATTEMPTS {
            match self.cluster.exec(mix(chance ^ attempt), &request, &sent).await {
                Ok(Answer::Object) => {
                    ledger.count(|counts| counts.compiles += 1);
                    ledger.took(began.elapsed());
                    return;
                }
                Ok(Answer::Missing(inputs)) => {
                    sent = inputs.into_iter().map(|input| request.inputs[input]).collect();
                }
                Err(error) => {
                    tracing::warn!(%error, "a simulated compile failed");
                    break;
                }
            }
        }
        ledger.count(|counts| {
            counts.compiles += 1;
            counts.failed += 1;
        });
    }
}
