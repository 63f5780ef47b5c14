//! The certificate authorities that this machine trusts, read once: there are hundreds of them.

use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::TrustAnchor;

use crate::error::{Code, Error, Result};

static SYSTEM: OnceLock<Vec<TrustAnchor<'static>>> = OnceLock::new();

/// What the system trusts, as it was when this process first asked.
///
/// # Errors
/// `InvalidArgument` saying what to do, when there are none.
pub(crate) fn system() -> Result<&'static [TrustAnchor<'static>]> {
    if let Some(roots) = SYSTEM.get() {
        return Ok(roots);
    }
    let read = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(read.certs);
    if store.is_empty() {
        let why = read.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        let message = format!(
            "this machine trusts no certificate authority{why}: install its certificates or name \
             some with --remote-ca-certificates"
        );
        return Err(Error::new(Code::InvalidArgument, message));
    }
    Ok(SYSTEM.get_or_init(|| store.roots))
}
