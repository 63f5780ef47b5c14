//! The files of remote workers, as [`super::probe`] saw them: one look at a platform at a time.
//!
//! The first compile of a platform waits for it, about as long as `sha256sum` takes over the headers
//! of a distribution; its answer serves all compiles for some minutes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use goma_common::reapi::Backend;
use goma_common::shards::Shards;
use goma_common::{Code, Deadline, Error, Result};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::probe::{Prober, root_of};
use super::{Properties, Sha256, WorkerFiles};

/// How long a worker is taken to stay as it was seen. An image never changes under its name; a
/// worker without one may be upgraded.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// A probe as a whole, its wait for a free worker on a busy farm included.
const PROBE: Duration = Duration::from_secs(5 * 60);
/// A probe that failed answers for so long, so that those who come next do not all try in turn.
const FAILED: Duration = Duration::from_secs(1);
/// The same where the worker lacks what a probe needs, which a moment does not change.
const UNABLE: Duration = Duration::from_secs(60);
/// Platforms that are remembered. Clients may name any; a farm has few.
const MAX_PLATFORMS: usize = 64;

/// The files of remote workers, as of a few minutes ago.
pub struct Probed {
    prober: Arc<Prober>,
    platforms: Arc<Mutex<HashMap<Properties, Platform>>>,
}

/// The workers of one platform: at most one probe is under way there, and no other platform waits
/// for it.
#[derive(Default)]
struct Platform {
    seen: Option<Arc<Seen>>,
    failed: Option<(Instant, Error)>,
    probe: Option<Probe>,
}

/// Ends when the probe has written down what it found; an error if it could not even do that.
type Probe = Shared<BoxFuture<'static, Result<()>>>;

/// What was seen on the workers of one platform.
struct Seen {
    until: Instant,
    /// Files and directories that were looked at: what lies under them and is not in `files` is
    /// absent.
    roots: BTreeSet<String>,
    files: HashMap<String, Sha256>,
}

impl Platform {
    /// What is known of these roots at this time, if anything is.
    fn known(&self, roots: &BTreeSet<String>, now: Instant) -> Option<Result<Arc<Seen>>> {
        let seen = self.seen.as_ref().filter(|seen| seen.until > now);
        if let Some(seen) = seen.filter(|seen| roots.is_subset(&seen.roots)) {
            return Some(Ok(seen.clone()));
        }
        let failed = self.failed.as_ref().filter(|(until, _)| *until > now);
        failed.map(|(_, error)| Err(error.clone()))
    }

    /// The probe under way. One that has ended without a word, as by a panic, is none.
    fn under_way(&self) -> Option<Probe> {
        self.probe.clone().filter(|probe| probe.peek().is_none())
    }

    /// Whether there is anything to remember.
    fn is_live(&self, now: Instant) -> bool {
        self.under_way().is_some()
            || self.seen.as_ref().is_some_and(|seen| seen.until > now)
            || self.failed.as_ref().is_some_and(|(until, _)| *until > now)
    }

    fn end(&mut self, began: Instant, roots: BTreeSet<String>, probed: Result<Files>) {
        self.probe = None;
        match probed {
            Ok(files) => {
                tracing::info!(files = files.len(), ?roots, "looked at the worker's system files");
                self.failed = None;
                self.seen = Some(Arc::new(Seen { until: began + LIFE, roots, files }));
            }
            Err(error) => {
                let error = error.context("looking at the worker's system files");
                tracing::warn!(%error, "a probe failed");
                let life = if error.code == Code::Unimplemented { UNABLE } else { FAILED };
                self.failed = Some((Instant::now() + life, error));
            }
        }
    }
}

type Files = HashMap<String, Sha256>;

impl Probed {
    /// Runs its actions on `backend`, uploading them through `shards`.
    #[must_use]
    pub fn new(backend: Backend, shards: Arc<dyn Shards>) -> Self {
        let prober = Arc::new(Prober { backend, shards });
        Self { prober, platforms: Arc::default() }
    }

    /// What is known, or else the probe to wait for.
    ///
    /// # Errors
    /// As the last probe failed, a moment ago; `ResourceExhausted` for one platform too many.
    fn look(
        &self,
        properties: &Properties,
        roots: &BTreeSet<String>,
    ) -> Result<Result<Arc<Seen>, Probe>> {
        let now = Instant::now();
        let mut platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        platforms.retain(|_, platform| platform.is_live(now));
        if platforms.len() >= MAX_PLATFORMS && !platforms.contains_key(properties) {
            let why = format!("more than {MAX_PLATFORMS} platforms within {} s", LIFE.as_secs());
            return Err(Error::new(Code::ResourceExhausted, why));
        }
        let platform = platforms.entry(properties.clone()).or_default();
        if let Some(known) = platform.known(roots, now) {
            return known.map(Ok);
        }
        if let Some(probe) = platform.under_way() {
            return Ok(Err(probe));
        }
        let mut roots = roots.clone();
        roots.extend(platform.seen.iter().flat_map(|seen| seen.roots.iter().cloned()));
        let probe = self.start(properties.clone(), roots);
        platform.probe = Some(probe.clone());
        Ok(Err(probe))
    }

    /// A task of its own, so that it goes on when whoever asked first gives up. The platform's
    /// handle owns it.
    fn start(&self, properties: Properties, roots: BTreeSet<String>) -> Probe {
        let (prober, platforms) = (self.prober.clone(), Arc::downgrade(&self.platforms));
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let deadline = Deadline::after(PROBE);
            let probe = prober.probe(&properties, &roots, deadline);
            let probed = deadline.bound("probe", probe).await;
            let Some(platforms) = platforms.upgrade() else { return };
            let mut platforms = platforms.lock().unwrap_or_else(PoisonError::into_inner);
            platforms.entry(properties).or_default().end(began, roots, probed);
        });
        let task = AbortOnDropHandle::new(task).map(|ended| {
            ended.map_err(|error| Error::new(Code::Internal, format!("probe: {error}")))
        });
        task.boxed().shared()
    }
}

#[async_trait]
impl WorkerFiles for Probed {
    async fn hashes(
        &self,
        platform: &Properties,
        paths: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Option<Sha256>>> {
        let roots: BTreeSet<String> = paths.iter().map(|path| root_of(path)).collect();
        let look = async {
            loop {
                match self.look(platform, &roots)? {
                    Ok(seen) => return Ok(seen),
                    // It may have looked for others at other roots.
                    Err(probe) => probe.await?,
                }
            }
        };
        let seen = deadline.bound("looking at the worker's system files", look).await?;
        Ok(paths.iter().map(|path| seen.files.get(path).copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::future::{join_all, pending};
    use goma_common::reapi::{Executed, Execution, Executor};
    use goma_common::testing::ScriptedBackend;
    use goma_proto::reapi::{ActionResult, OutputFile};

    use super::super::probe::OUTPUT;
    use super::*;

    /// How a worker meets a probe.
    enum Worker {
        NeverEnds,
        Fails,
        Lists { after: Duration },
    }

    /// Workers in the order in which they are asked.
    struct Workers(Mutex<(VecDeque<Worker>, usize)>);

    #[async_trait]
    impl Executor for Workers {
        async fn execute(&self, _: &Execution, _: Deadline) -> Result<Executed> {
            let worker = {
                let mut workers = self.0.lock().expect("no panic");
                workers.1 += 1;
                workers.0.pop_front().expect("no more probes than are expected")
            };
            match worker {
                Worker::NeverEnds => pending().await,
                Worker::Fails => Err(Error::new(Code::Unavailable, "no worker")),
                Worker::Lists { after } => {
                    tokio::time::sleep(after).await;
                    let contents = format!("{}  {PATH}\n", "ab".repeat(32)).into_bytes();
                    let file = OutputFile { path: OUTPUT.into(), contents, ..Default::default() };
                    let result = ActionResult { output_files: vec![file], ..Default::default() };
                    Ok(Executed { result, cached: false })
                }
            }
        }
    }

    const PATH: &str = "/usr/include/a.h";

    fn probed(workers: impl IntoIterator<Item = Worker>) -> (Probed, Arc<Workers>) {
        let workers = Arc::new(Workers(Mutex::new((workers.into_iter().collect(), 0))));
        let scripted = ScriptedBackend::default();
        let backend = Backend { executor: workers.clone(), ..scripted.backend(0) };
        (Probed::new(backend, Arc::new(scripted)), workers)
    }

    async fn ask(probed: &Probed, platform: &str, path: &str, seconds: u64) -> Result<bool> {
        let properties = vec![("image".to_owned(), platform.to_owned())];
        let deadline = Deadline::after(Duration::from_secs(seconds));
        let hashes = probed.hashes(&properties, &[path.to_owned()], deadline).await?;
        Ok(hashes == [Some([0xab; 32])])
    }

    fn probes(workers: &Workers) -> usize {
        workers.0.lock().expect("no panic").1
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_probe_holds_up_its_own_platform_only_and_not_for_ever() {
        let lists = || Worker::Lists { after: Duration::ZERO };
        let (probed, workers) = probed([Worker::NeverEnds, lists(), lists()]);
        let started = Instant::now();
        let (stuck, other) = tokio::join!(ask(&probed, "stuck", PATH, 10), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ask(&probed, "other", PATH, 10).await
        });
        assert_eq!(stuck.expect_err("stuck").code, Code::DeadlineExceeded);
        assert!(other.expect("answered"));
        assert!(started.elapsed() <= Duration::from_secs(10), "{:?}", started.elapsed());
        // The probe itself ends, and those who come later have their own.
        tokio::time::sleep(PROBE + FAILED).await;
        assert!(ask(&probed, "stuck", PATH, 10).await.expect("answered"));
        assert_eq!(probes(&workers), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_shared_and_goes_on_when_its_first_asker_gives_up() {
        let (probed, workers) = probed([Worker::Lists { after: Duration::from_secs(30) }]);
        let (first, others) = tokio::join!(ask(&probed, "a", PATH, 5), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            join_all((0..100).map(|_| ask(&probed, "a", PATH, 60))).await
        });
        assert_eq!(first.expect_err("too slow").code, Code::DeadlineExceeded);
        assert!(others.into_iter().all(|found| found.expect("answered")));
        assert_eq!(probes(&workers), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn other_roots_wait_for_the_probe_under_way_and_then_have_their_own() {
        let lists = || Worker::Lists { after: Duration::from_secs(2) };
        let (probed, workers) = probed([lists(), lists()]);
        let (a, b) =
            tokio::join!(ask(&probed, "a", PATH, 60), ask(&probed, "a", "/usr/bin/gcc", 60));
        assert!(a.expect("answered"));
        assert!(!b.expect("answered"), "there is none");
        assert!(ask(&probed, "a", PATH, 60).await.expect("still known"));
        assert_eq!(probes(&workers), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_is_no_stampede_and_is_soon_made_again() {
        let (probed, workers) = probed([Worker::Fails, Worker::Lists { after: Duration::ZERO }]);
        for asked in join_all((0..100).map(|_| ask(&probed, "a", PATH, 60))).await {
            assert_eq!(asked.expect_err("failed").code, Code::Unavailable);
        }
        assert!(ask(&probed, "a", PATH, 60).await.is_err(), "it has just failed");
        assert_eq!(probes(&workers), 1);
        tokio::time::sleep(FAILED).await;
        assert!(ask(&probed, "a", PATH, 60).await.expect("answered"));
    }
}
