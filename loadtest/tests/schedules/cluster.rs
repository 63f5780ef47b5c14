//! The members as one gateway sees them: on its ring while they are up, as far as it has noticed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use goma_gateway::ring::{Member as Place, Up, View};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::member::Member;

/// A gateway notices within this who went down or came up, each gateway in its own time.
const NOTICES: Duration = Duration::from_millis(900);

/// Who is up, for each gateway.
pub struct Views {
    members: Vec<Arc<Member>>,
    gateways: Vec<watch::Sender<Arc<View>>>,
    /// Each member as it is on a gateway's ring.
    seen: RwLock<Vec<Vec<Option<Up>>>>,
    chance: Arc<Chance>,
}

impl Views {
    /// All of the members up, as `gateways` gateways see it.
    pub fn new(members: Vec<Arc<Member>>, gateways: usize, chance: Arc<Chance>) -> Self {
        let up: Vec<Option<Up>> = (0..members.len()).map(|n| up(&members, n)).collect();
        let senders = (0..gateways).map(|_| watch::Sender::new(view(&up)));
        Self { gateways: senders.collect(), seen: RwLock::new(vec![up; gateways]), members, chance }
    }

    /// What a gateway has for a ring.
    pub fn of(&self, gateway: usize) -> watch::Receiver<Arc<View>> {
        self.gateways[gateway].subscribe()
    }

    /// Lets the gateways notice, one after the other, what became of a member.
    pub async fn notice(&self, member: usize) {
        let mut order: Vec<(Duration, usize)> = (0..self.gateways.len())
            .map(|gateway| (self.chance.delay(NOTICES, ("notices", gateway, member)), gateway))
            .collect();
        order.sort_unstable();
        let mut now = Duration::ZERO;
        for (at, gateway) in order {
            sleep(at - now).await;
            now = at;
            self.publish(gateway, member);
        }
    }

    fn publish(&self, gateway: usize, member: usize) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut seen[gateway][member], up(&self.members, member));
        self.gateways[gateway].send_replace(view(&seen[gateway]));
        // By now it is asked of others.
        if let Some(before) = before {
            before.gone.cancel();
        }
    }
}

fn up(members: &[Arc<Member>], number: usize) -> Option<Up> {
    let member = members[number].clone();
    let place = Place { name: format!("shard-{number}"), weight: 1 };
    member.is_running().then(|| Up { member: place, shard: member, gone: Default::default() })
}

fn view(up: &[Option<Up>]) -> Arc<View> {
    Arc::new(View::new(up.iter().flatten().cloned().collect(), Vec::new()))
}
