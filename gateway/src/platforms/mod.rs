//! Several kinds of workers: which of them a request is for, and where they are.
//!
//! [`file`] reads them, in two forms, [`backend`] what it says of a backend, and [`compiler`] is one that
//! workers have; [`inventory`] is all of a file, put where it is and followed as it changes; here is the
//! choice.

mod backend;
pub(crate) mod compiler;
mod file;
mod inventory;
mod text_proto;

use crate::config::GatewayConfig;
use crate::exec::Exec;
use crate::place::Place;

pub use backend::entry;
pub use compiler::CompilerEntry;
pub use file::{ExecConfig, PlatformEntry};
pub use inventory::{Inventory, follow};

/// Dimensions of a request that an answer names.
const NAMED: usize = 10;

/// Workers of a kind.
#[derive(Clone)]
pub struct Platform {
    /// What clients may ask of them, such as `os:linux`.
    pub dimensions: Vec<String>,
    /// Groups of users that they are for; none is everybody.
    pub groups: Vec<String>,
    /// How their backend is used.
    pub config: GatewayConfig,
    /// Where they are, if not with the gateway's own backend.
    pub place: Option<Place>,
}

/// The platforms of a gateway, in the order in which they are tried.
#[derive(Default)]
pub(crate) struct Platforms(pub(crate) Vec<(Offer, Exec)>);

/// What a platform is chosen by.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) dimensions: Vec<String>,
    pub(crate) groups: Vec<String>,
}

impl Platforms {
    /// The first that has all dimensions of a request. `None` is the gateway's own: for requests that
    /// want nothing, and where there are no others.
    ///
    /// # Errors
    /// Why there is none, for whoever reads the client's log.
    pub(crate) fn choose(&self, wanted: &[String], group: &str) -> Result<Option<&Exec>, String> {
        let all = self.0.iter().map(|(offer, _)| offer);
        let chosen = choose(wanted, group, all.clone()).map_err(|why| {
            let told =
                |dimensions: &[String]| dimensions.iter().take(NAMED).cloned().collect::<Vec<_>>();
            let asked = told(wanted).join(",");
            if why == NoPlatform::OfOthers {
                return format!(
                    "platforms with the dimensions {asked} are for other groups of users"
                );
            }
            let own = all.filter(|offer| offer.is_for(group));
            let here: Vec<String> = own.map(|offer| told(&offer.dimensions).join(",")).collect();
            format!(
                "no platform has the dimensions {asked}; those of this server have: {}",
                here.join("; ")
            )
        })?;
        Ok(chosen.map(|at| &self.0[at].1))
    }
}

impl Offer {
    fn is_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|of| of == group)
    }
}

/// Why a request has no platform.
#[derive(Debug, PartialEq, Eq)]
enum NoPlatform {
    /// None has what it asks for.
    Lacking,
    /// Those that have it are not for its user.
    OfOthers,
}

/// Pure.
fn choose<'a>(
    wanted: &[String],
    group: &str,
    platforms: impl ExactSizeIterator<Item = &'a Offer>,
) -> Result<Option<usize>, NoPlatform> {
    if wanted.is_empty() || platforms.len() == 0 {
        return Ok(None);
    }
    let has = |offer: &Offer| wanted.iter().all(|wanted| offer.dimensions.contains(wanted));
    let mut why = NoPlatform::Lacking;
    for (at, offer) in platforms.enumerate().filter(|(_, offer)| has(offer)) {
        if offer.is_for(group) {
            return Ok(Some(at));
        }
        why = NoPlatform::OfOthers;
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_platform_that_has_all_dimensions_is_taken() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let offer =
            |dimensions, groups| Offer { dimensions: list(dimensions), groups: list(groups) };
        let platforms = [
            offer("os:linux pool:big", ""),
            offer("os:linux", ""),
            offer("os:win", ""),
            offer("os:mac pool:a", "a"),
            offer("os:mac pool:b", "a b"),
        ];
        let of_group = |wanted: &str, group| choose(&list(wanted), group, platforms.iter());
        let chosen = |wanted| of_group(wanted, "");
        assert_eq!(chosen("os:linux"), Ok(Some(0)));
        assert_eq!(chosen("pool:big os:linux"), Ok(Some(0)));
        assert_eq!(chosen("os:win"), Ok(Some(2)));
        assert_eq!(chosen("os:win pool:big"), Err(NoPlatform::Lacking));
        assert_eq!(chosen(""), Ok(None));
        assert_eq!(choose(&list("os:mac"), "", [].iter()), Ok(None), "there is but one");
        assert_eq!(of_group("os:mac", "a"), Ok(Some(3)));
        assert_eq!(of_group("os:mac", "b"), Ok(Some(4)));
        assert_eq!(of_group("os:mac pool:a", "b"), Err(NoPlatform::OfOthers));
        assert_eq!(chosen("os:mac"), Err(NoPlatform::OfOthers));
    }
}
