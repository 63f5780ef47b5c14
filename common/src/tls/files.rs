//! Certificates, keys and authorities in PEM files, read with the name of the flag that named them.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Code, Error, Result};

/// The one implementation of cryptography that we use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// An error about a file.
pub(super) fn wrong(flag: &str, file: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(Code::InvalidArgument, format!("{flag} {}: {why}", file.display()))
}

/// A chain of certificates, the first one's own.
pub(super) fn chain(flag: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(flag, file, &error))?;
    match chain.is_empty() {
        true => Err(wrong(flag, file, &"it holds no certificate")),
        false => Ok(chain),
    }
}

/// A private key; errors do not show it.
pub(super) fn key(flag: &str, file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| wrong(flag, file, &error))
}

/// Authorities to trust.
pub(super) fn authorities(flag: &str, file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(flag, file)? {
        roots.add(certificate).map_err(|error| wrong(flag, file, &error))?;
    }
    Ok(roots)
}
