//! The cryptography of signed tokens: ring's, as everywhere else here.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature as of;
use ring::signature::{
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// We verify and never sign.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        let verifying = Verifying { algorithm: *algorithm, key: key.clone() };
        match verifying.rsa().is_some() || verifying.curve().is_some() {
            true => Ok(Box::new(verifying)),
            false => Err(ErrorKind::InvalidAlgorithm.into()),
        }
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has tokens verified by this. Called again it changes nothing.
pub(super) fn install() {
    // Only the first call of a process is taken, and all say the same.
    let _ = PROVIDER.install_default();
}

/// The algorithms by which tokens may be signed: none with a secret that we would have to share, and
/// "none" not at all.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

struct Verifying {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifying {
    fn rsa(&self) -> Option<&'static RsaParameters> {
        Some(match self.algorithm {
            Algorithm::RS256 => &of::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &of::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &of::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &of::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &of::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &of::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }

    fn curve(&self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self.algorithm {
            Algorithm::ES256 => &of::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &of::ECDSA_P384_SHA384_FIXED,
            Algorithm::EdDSA => &of::ED25519,
            _ => return None,
        })
    }
}

impl JwtVerifier for Verifying {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Verifying {
    fn verify(
        &self,
        message: &[u8],
        signed: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let verified = match (self.rsa(), self.curve(), self.key.kind()) {
            (Some(parameters), _, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (_, Some(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(algorithm, point).verify(message, signed)
            }
            _ => Err(ring::error::Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_no_keys() {
        let key = DecodingKey::from_secret(b"secret");
        let verifier = |algorithm| (PROVIDER.verifier_factory)(&algorithm, &key);
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(verifier(algorithm).is_err(), "{algorithm:?}");
            assert!(!ALGORITHMS.contains(&algorithm));
        }
        for algorithm in ALGORITHMS {
            let verifier = verifier(algorithm).expect("one that is known");
            assert!(verifier.verify(b"message", &vec![0; 64]).is_err(), "{algorithm:?}");
        }
    }
}
