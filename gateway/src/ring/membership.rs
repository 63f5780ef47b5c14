//! Who is up: watches every member and publishes the ring of those that are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use goma_common::tls::PeerTls;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::link::Expected;
use super::member_list::MemberList;
use super::resolver;
use super::roster::Roster;
use super::view::View;
use super::watcher::{Report, Watched, Watcher};
use crate::metrics;

/// Reports that may wait; a watcher waits with the next.
const REPORTS: usize = 256;
/// A ring of a larger sum of weights is built on a thread of its own.
const LARGE: u32 = 8;
/// How the name itself is called where its addresses cannot be had.
const DNS: u64 = 0;

/// Watches shards while it is kept.
pub struct Membership {
    view: watch::Receiver<Arc<View>>,
    _task: AbortOnDropHandle<()>,
}

impl Membership {
    /// Starts on the current runtime. Members that are away are no reason not to start. `backend` is
    /// ours, as [`goma_common::remote_args::RemoteArgs::told`] tells it: that of the shards must be
    /// the same.
    #[must_use]
    pub fn start(list: MemberList, backend: String, tls: Option<PeerTls>) -> Self {
        let (published, view) = watch::channel(Arc::new(View::new(Vec::new(), Vec::new())));
        let (sender, reports) = mpsc::channel(REPORTS);
        let task = Task {
            backend,
            tls,
            published,
            sender,
            ring: Arc::default(),
            roster: Roster::default(),
            watchers: BTreeMap::new(),
            next_id: DNS + 1,
        };
        let task = tokio::spawn(task.run(list, reports));
        Self { view, _task: AbortOnDropHandle::new(task) }
    }

    /// The ring as of now, and whenever it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }
}

/// The one who knows all members.
struct Task {
    backend: String,
    tls: Option<PeerTls>,
    published: watch::Sender<Arc<View>>,
    sender: mpsc::Sender<(u64, Report)>,
    ring: Arc<AtomicU64>,
    roster: Roster,
    /// By address or by name, whichever a member keeps.
    watchers: BTreeMap<String, (u64, AbortOnDropHandle<()>)>,
    next_id: u64,
}

impl Task {
    async fn run(mut self, list: MemberList, mut reports: mpsc::Receiver<(u64, Report)>) {
        let (sender, mut found) = mpsc::channel(1);
        let again = Arc::new(Notify::new());
        let _resolver = match list {
            MemberList::Named(shards) => {
                for shard in shards {
                    let expected = self.expected(Some(shard.name.clone()));
                    let weight = Some(shard.weight);
                    self.watch(shard.name, Watched { address: shard.address, expected, weight });
                }
                None
            }
            MemberList::Dns(name) => {
                self.roster.add(DNS, name.clone());
                let resolver = resolver::run(name, again.clone(), sender);
                Some(AbortOnDropHandle::new(tokio::spawn(resolver)))
            }
        };
        self.publish(Vec::new()).await;
        loop {
            let mut gone = Vec::new();
            tokio::select! {
                Some((id, report)) = reports.recv() => {
                    let mut next = Some((id, report));
                    // All that is known by now makes one ring.
                    while let Some((id, report)) = next {
                        if matches!(report, Report::Out { gone: Some(_), .. }) {
                            again.notify_one();
                        }
                        gone.extend(self.roster.take(id, report));
                        next = reports.try_recv().ok();
                    }
                }
                Some(found) = found.recv() => self.found(found),
            }
            self.publish(gone).await;
        }
    }

    fn expected(&self, name: Option<String>) -> Expected {
        Expected { name, backend: self.backend.clone(), tls: self.tls.clone() }
    }

    fn watch(&mut self, label: String, watched: Watched) {
        let id = self.next_id;
        self.next_id += 1;
        self.roster.add(id, label.clone());
        let (ring, reports) = (self.ring.clone(), self.sender.clone());
        let watcher = tokio::spawn(Watcher { id, watched, ring, reports }.run());
        self.watchers.insert(label, (id, AbortOnDropHandle::new(watcher)));
    }

    /// Follows the addresses of the name.
    fn found(&mut self, found: Result<BTreeSet<String>, String>) {
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                self.roster.take(DNS, Report::Out { why, gone: None });
                return;
            }
        };
        self.roster.remove(DNS);
        let lost: Vec<String> =
            self.watchers.keys().filter(|known| !found.contains(*known)).cloned().collect();
        for address in lost {
            if let Some((id, _watcher)) = self.watchers.remove(&address) {
                self.roster.remove(id);
            }
        }
        for address in found {
            if !self.watchers.contains_key(&address) {
                let expected = self.expected(None);
                self.watch(address.clone(), Watched { address, expected, weight: None });
            }
        }
    }

    /// Makes the ring of those that are up by now, then gives up what is asked of `gone`: by then
    /// it is asked of others.
    async fn publish(&mut self, gone: Vec<CancellationToken>) {
        let (up, out) = self.roster.view();
        let now = self.published.borrow().clone();
        let view = match now.again(up.clone(), out.clone()) {
            Some(view) => view,
            None if up.iter().map(|up| up.member.weight).sum::<u32>() <= LARGE => {
                View::new(up, out)
            }
            None => match tokio::task::spawn_blocking(move || View::new(up, out)).await {
                Ok(view) => view,
                // The runtime ends.
                Err(_) => return,
            },
        };
        self.ring.store(view.ring().hash(), Ordering::Relaxed);
        let (up, out) = view.counts();
        metrics::ring(&self.backend, view.ring().hash(), up, out);
        self.published.send_replace(Arc::new(view));
        for gone in gone {
            gone.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
