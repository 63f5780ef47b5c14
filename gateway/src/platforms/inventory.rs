//! All that the file of platforms and compilers says, put where it is.
//!
//! The file is read again when it changes. Backends that are told as before keep their connections and
//! their shards; requests that are under way end where they began.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goma_common::preset::Traits;
use goma_common::reloaded::Reloaded;
use goma_common::{Code, Error, Result};
use tokio_util::task::AbortOnDropHandle;
use toml::Table;

use super::{CompilerEntry, ExecConfig, Platform};
use crate::config::GatewayConfig;
use crate::gateway::Gateway;
use crate::place::Place;
use crate::setting_args::SettingArgs;

/// How often it is looked whether there is something new.
const LOOK: Duration = Duration::from_secs(1);

/// Makes the place of a backend of the file, by its name and table, and tells what it is like.
type OpenBackend = dyn Fn(&str, &Table) -> Result<(Place, Traits)>;

/// The platforms and compilers of a file.
pub struct Inventory {
    pub(crate) platforms: Arc<[Platform]>,
    pub(crate) compilers: Arc<[CompilerEntry]>,
    /// By the names of the backends.
    places: HashMap<String, Opened>,
}

/// A backend, and the table that it was told by.
struct Opened {
    table: Table,
    place: Place,
    traits: Traits,
}

impl Inventory {
    /// Reads a file. What is told as `before` stays as it is; `open` makes what is new.
    ///
    /// # Errors
    /// `InvalidArgument` naming the file and the line, or the backend; and where most of what there was
    /// is gone, which is more likely half a file than meant.
    pub(crate) fn read(
        file: &Path,
        before: Option<&Self>,
        settings: &SettingArgs,
        own: &Traits,
        open: &OpenBackend,
    ) -> Result<Self> {
        let read = ExecConfig::read(file)?;
        let (had, has) = (before.map_or(0, Self::entries), entries(&read));
        if is_sudden_loss(had, has) {
            let why = format!(
                "--exec-config-file {}: of {had} platforms and compilers {has} are left: if that is \
                 meant, take them out in two steps, or start again",
                file.display()
            );
            return Err(Error::new(Code::InvalidArgument, why));
        }
        let mut places = HashMap::new();
        for (name, table) in &read.backends {
            let kept = before.and_then(|before| before.places.get(name));
            let (place, traits) = match kept.filter(|kept| kept.table == *table) {
                Some(kept) => (kept.place.clone(), kept.traits),
                None => open(name, table).map_err(|error| read.misplaced(name, error))?,
            };
            places.insert(name.clone(), Opened { table: table.clone(), place, traits });
        }
        let compilers: Arc<[CompilerEntry]> = read.compilers.into();
        let platforms = read.platforms.into_iter().map(|platform| {
            let opened = platform.backend.as_deref().and_then(|name| places.get(name));
            let traits = opened.map_or(own, |opened| &opened.traits);
            Platform {
                config: GatewayConfig {
                    compilers: compilers.clone(),
                    do_not_cache: platform.do_not_cache,
                    ..settings.platform_config(traits, &platform)
                },
                dimensions: platform.dimensions,
                groups: platform.groups,
                place: opened.map(|opened| opened.place.clone()),
            }
        });
        Ok(Self { platforms: platforms.collect(), compilers, places })
    }

    fn entries(&self) -> usize {
        self.platforms.len() + self.compilers.len()
    }
}

fn entries(read: &ExecConfig) -> usize {
    read.platforms.len() + read.compilers.len()
}

/// Whether more than half of the entries are gone at once. Pure.
fn is_sudden_loss(had: usize, has: usize) -> bool {
    has * 2 < had
}

/// Has a gateway serve by what the file says, for as long as the handle is kept.
pub fn follow(gateway: Arc<Gateway>, inventory: Reloaded<Inventory>) -> AbortOnDropHandle<()> {
    let mut now = inventory.get();
    gateway.serve_by(&now);
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let read = inventory.get();
            if !Arc::ptr_eq(&read, &now) {
                gateway.serve_by(&read);
                let (platforms, compilers) = (read.platforms.len(), read.compilers.len());
                tracing::info!(
                    platforms,
                    compilers,
                    "platforms and compilers as the file now says"
                );
                now = read;
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_at_once_is_a_loss() {
        for (had, has, loss) in [
            (0, 1, false),
            (1, 1, false),
            (2, 1, false),
            (3, 1, true),
            (10, 5, false),
            (10, 4, true),
        ] {
            assert_eq!(is_sudden_loss(had, has), loss, "{had} {has}");
        }
    }
}
