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
    /// How their backend is used.
    pub config: GatewayConfig,
    /// Where they are, if not with the gateway's own backend.
    pub place: Option<Place>,
}

/// The platforms of a gateway, in the order in which they are tried.
#[derive(Default)]
pub(crate) struct Platforms(pub(crate) Vec<(Vec<String>, Exec)>);

impl Platforms {
    /// The first that has all dimensions of a request. `None` is the gateway's own: for requests that
    /// want nothing, and where there are no others.
    ///
    /// # Errors
    /// Why there is none, for whoever reads the client's log.
    pub(crate) fn choose(&self, wanted: &[String]) -> Result<Option<&Exec>, String> {
        let all = self.0.iter().map(|(dimensions, _)| dimensions.as_slice());
        let chosen = choose(wanted, all.clone()).map_err(|()| {
            let told =
                |dimensions: &[String]| dimensions.iter().take(NAMED).cloned().collect::<Vec<_>>();
            let here: Vec<String> = all.map(|dimensions| told(dimensions).join(",")).collect();
            format!(
                "no platform has the dimensions {}; those of this server have: {}",
                told(wanted).join(","),
                here.join("; ")
            )
        })?;
        Ok(chosen.map(|at| &self.0[at].1))
    }
}

/// Pure.
fn choose<'a>(
    wanted: &[String],
    mut platforms: impl ExactSizeIterator<Item = &'a [String]>,
) -> Result<Option<usize>, ()> {
    if wanted.is_empty() || platforms.len() == 0 {
        return Ok(None);
    }
    let fits = |has: &[String]| wanted.iter().all(|wanted| has.contains(wanted));
    platforms.position(fits).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_platform_that_has_all_dimensions_is_taken() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let platforms = [list("os:linux pool:big"), list("os:linux"), list("os:win")];
        let chosen = |wanted: &str| choose(&list(wanted), platforms.iter().map(Vec::as_slice));
        assert_eq!(chosen("os:linux"), Ok(Some(0)));
        assert_eq!(chosen("pool:big os:linux"), Ok(Some(0)));
        assert_eq!(chosen("os:win"), Ok(Some(2)));
        assert_eq!(chosen("os:win pool:big"), Err(()));
        assert_eq!(chosen(""), Ok(None));
        assert_eq!(choose(&list("os:mac"), std::iter::empty()), Ok(None), "there is but one");
    }
}
