//! A certificate authority of a test's own, and whom it vouches for.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Identity, ServerTlsConfig};

/// The authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    /// # Panics
    /// When the machine has no randomness.
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }
}

impl Authority {
    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, and its key, PEM.
    ///
    /// # Panics
    /// When no certificate can bear that name.
    #[must_use]
    pub fn vouch(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// What a server of this name says.
    #[must_use]
    pub fn server_tls(&self, name: &str) -> ServerTlsConfig {
        let (certificate, key) = self.vouch(name);
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }
}
