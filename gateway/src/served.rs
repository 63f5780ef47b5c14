//! What serves the requests of one tenant: its compiles on every platform, and its files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use goma_common::Tenant;
use goma_common::shards::Shards;

use crate::admission::Answers;
use crate::carried::Carried;
use crate::config::GatewayConfig;
use crate::exec::Exec;
use crate::files::Files;
use crate::joined::Joined;
use crate::per_account::PerAccount;
use crate::place::Place;
use crate::platforms::{Platform, Platforms};
use crate::shares::Shares;
use crate::status::Misses;

/// One tenant's part of a gateway.
pub(crate) struct Served {
    exec: Exec,
    platforms: Platforms,
    pub(crate) files: Arc<Files>,
}

/// All tenants, each from its first request on. There are no more of them than there ever were groups.
pub(crate) struct Tenants {
    config: Arc<GatewayConfig>,
    home: Place,
    platforms: Vec<Platform>,
    shares: Shares,
    answers: Answers,
    misses: Arc<Misses>,
    served: Mutex<HashMap<Tenant, Arc<Served>>>,
}

impl Tenants {
    /// At this place, with these platforms beside its own.
    pub(crate) fn new(
        config: Arc<GatewayConfig>,
        home: Place,
        platforms: Vec<Platform>,
        shares: Shares,
        answers: Answers,
        misses: Arc<Misses>,
    ) -> Self {
        Self { config, home, platforms, shares, answers, misses, served: Mutex::default() }
    }

    /// The same, with these platforms.
    pub(crate) fn with_platforms(self, platforms: Vec<Platform>) -> Self {
        Self { platforms, served: Mutex::default(), ..self }
    }

    /// The part of a tenant.
    pub(crate) fn of(&self, tenant: Tenant) -> Arc<Served> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.entry(tenant).or_insert_with(|| Arc::new(self.open(tenant))).clone()
    }

    fn exec(&self, config: Arc<GatewayConfig>, place: Place, files: Arc<Files>) -> Exec {
        let (shares, answers) = (self.shares.clone(), self.answers.clone());
        Exec::new(config, place, files, shares, answers, self.misses.clone())
    }

    fn open(&self, tenant: Tenant) -> Served {
        let home = shared(self.home.of_tenant(tenant));
        let files = Arc::new(Files::new(home.shards.clone(), self.config.key_cache_entries));
        let platforms = self.platforms.iter().map(|Platform { dimensions, config, place }| {
            let config = Arc::new(config.clone());
            let (place, files) = match place {
                None => (home.clone(), files.clone()),
                Some(to) => {
                    let to = shared(to.of_tenant(tenant));
                    let files = Arc::new(files.brought_from(to.clone(), home.clone()));
                    let carried = Carried { home: home.clone(), to: to.clone() };
                    (Place { shards: Arc::new(carried), ..to }, files)
                }
            };
            (dimensions.clone(), self.exec(config, place, files))
        });
        let platforms = Platforms(platforms.collect());
        let exec = self.exec(self.config.clone(), home, files.clone());
        Served { exec, platforms, files }
    }
}

impl Served {
    /// What runs compiles that ask for these dimensions.
    ///
    /// # Errors
    /// Why there is none, for whoever reads the client's log.
    pub(crate) fn exec(&self, wanted: &[String]) -> Result<&Exec, String> {
        Ok(self.platforms.choose(wanted)?.unwrap_or(&self.exec))
    }
}

/// A place where work is shared by all who are served on the same account: what is known of the backend,
/// and equal actions under way.
fn shared(Place { backend, shards, worker }: Place) -> Place {
    let shards: Arc<dyn Shards> = Arc::new(PerAccount { shards, backend: backend.clone() });
    let executor = Arc::new(Joined::new(backend.executor.clone(), shards.clone()));
    Place { backend: goma_common::reapi::Backend { executor, ..backend }, shards, worker }
}
