//! What serves the requests of one tenant: its compiles on every platform, and its files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use goma_common::Tenant;
use goma_common::shards::Shards;

use crate::carried::Carried;
use crate::config::GatewayConfig;
use crate::exec::{Common, Exec};
use crate::files::Files;
use crate::joined::Joined;
use crate::per_account::PerAccount;
use crate::place::Place;
use crate::platforms::{CompilerEntry, Offer, Platform, Platforms};

/// One tenant's part of a gateway.
pub(crate) struct Served {
    exec: Exec,
    platforms: Platforms,
    home: Place,
    pub(crate) files: Arc<Files>,
}

/// All tenants, each from its first request on. There are no more of them than there ever were groups.
pub(crate) struct Tenants {
    home: Place,
    common: Common,
    state: Mutex<State>,
}

/// What they are served by, and with what.
struct State {
    config: Arc<GatewayConfig>,
    platforms: Arc<[Platform]>,
    served: HashMap<Tenant, Arc<Served>>,
}

impl Tenants {
    /// At this place, with no platform beside its own.
    pub(crate) fn new(config: Arc<GatewayConfig>, home: Place, common: Common) -> Self {
        let state = State { config, platforms: Arc::default(), served: HashMap::new() };
        Self { home, common, state: Mutex::new(state) }
    }

    /// From now on with these platforms and compilers. What is under way ends as it began.
    pub(crate) fn serve_by(&self, platforms: &Arc<[Platform]>, compilers: &Arc<[CompilerEntry]>) {
        let mut state = self.lock();
        state.platforms = platforms.clone();
        let config = GatewayConfig { compilers: compilers.clone(), ..(*state.config).clone() };
        state.config = Arc::new(config);
        let served = std::mem::take(&mut state.served);
        state.served = served
            .into_iter()
            .map(|(tenant, before)| {
                let (home, files) = (before.home.clone(), before.files.clone());
                (tenant, Arc::new(self.with(&state, tenant, home, files)))
            })
            .collect();
    }

    /// The part of a tenant.
    pub(crate) fn of(&self, tenant: Tenant) -> Arc<Served> {
        let mut state = self.lock();
        if let Some(served) = state.served.get(&tenant) {
            return served.clone();
        }
        let home = shared(self.home.of_tenant(tenant));
        let files = Arc::new(Files::new(home.shards.clone(), state.config.key_cache_entries));
        let served = Arc::new(self.with(&state, tenant, home, files));
        state.served.insert(tenant, served.clone());
        served
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exec(&self, config: Arc<GatewayConfig>, place: Place, files: Arc<Files>) -> Exec {
        Exec::new(config, place, files, self.common.clone())
    }

    fn with(&self, state: &State, tenant: Tenant, home: Place, files: Arc<Files>) -> Served {
        let platforms =
            state.platforms.iter().map(|Platform { dimensions, groups, config, place }| {
                let flags = state.config.flags.clone();
                let config = Arc::new(GatewayConfig { flags, ..config.clone() });
                let (place, files) = match place {
                    None => (home.clone(), files.clone()),
                    Some(to) => {
                        let to = shared(to.of_tenant(tenant));
                        let files = Arc::new(files.brought_from(to.clone(), home.clone()));
                        let carried = Carried { home: home.clone(), to: to.clone() };
                        (Place { shards: Arc::new(carried), ..to }, files)
                    }
                };
                let offer = Offer { dimensions: dimensions.clone(), groups: groups.clone() };
                (offer, self.exec(config, place, files))
            });
        let platforms = Platforms(platforms.collect());
        let exec = self.exec(state.config.clone(), home.clone(), files.clone());
        Served { exec, platforms, home, files }
    }
}

impl Served {
    /// What runs compiles of a group's users that ask for these dimensions.
    ///
    /// # Errors
    /// Why there is none, for whoever reads the client's log.
    pub(crate) fn exec(&self, wanted: &[String], group: &str) -> Result<&Exec, String> {
        Ok(self.platforms.choose(wanted, group)?.unwrap_or(&self.exec))
    }
}

/// A place where work is shared by all who are served on the same account: what is known of the backend,
/// and equal actions under way.
fn shared(Place { backend, shards, worker }: Place) -> Place {
    let shards: Arc<dyn Shards> = Arc::new(PerAccount { shards, backend: backend.clone() });
    let executor = Arc::new(Joined::new(backend.executor.clone(), shards.clone()));
    Place { backend: goma_common::reapi::Backend { executor, ..backend }, shards, worker }
}
