//! The name in a certificate that a TLS client shows, and that an authority of ours vouches for.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// An address if it has one, else a URI, such as a SPIFFE id, else a host's name, else the common name.
///
/// Of a certificate that has none, or that cannot be read, there is no name.
pub(crate) fn name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let named = certificate.subject_alternative_name().ok().flatten();
    let names = named.as_ref().map_or(&[][..], |named| &named.value.general_names);
    let rank = |name: &GeneralName<'_>| match name {
        GeneralName::RFC822Name(name) => Some((0, (*name).to_owned())),
        GeneralName::URI(name) => Some((1, (*name).to_owned())),
        GeneralName::DNSName(name) => Some((2, (*name).to_owned())),
        _ => None,
    };
    // The first of the best kind.
    let alternative = names.iter().filter_map(rank).min_by_key(|(rank, _)| *rank);
    let common =
        || certificate.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned);
    alternative.map(|(_, name)| name).or_else(common).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn of(common: &str, names: Vec<SanType>) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = names;
        let key = KeyPair::generate().expect("a key");
        name(params.self_signed(&key).expect("a certificate").der())
    }

    #[test]
    fn an_address_goes_before_a_uri_before_a_host_before_the_common_name() {
        let text = |text: &str| text.try_into().expect("ASCII");
        let host = || SanType::DnsName(text("build-1.farm.example"));
        let uri = || SanType::URI(text("spiffe://farm.example/ci"));
        let mail = || SanType::Rfc822Name(text("ann@farm.example"));
        assert_eq!(of("cn", vec![host(), uri(), mail()]).as_deref(), Some("ann@farm.example"));
        assert_eq!(of("cn", vec![host(), uri()]).as_deref(), Some("spiffe://farm.example/ci"));
        assert_eq!(of("cn", vec![host()]).as_deref(), Some("build-1.farm.example"));
        assert_eq!(of("cn", vec![]).as_deref(), Some("cn"));
        assert_eq!(of("", vec![]), None);
        assert_eq!(name(b"no certificate"), None);
    }
}
