//! Keys that are in this process.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
#[cfg(feature = "dpop")]
use ring::signature::KeyPair;
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding,
    },
};
#[cfg(feature = "dpop")]
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::SigningAlgorithm;
use crate::error::{BoxError, ConfigError};

pub(in crate::oauth2) enum LocalKey {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The numbers of an RSA key, as its JWK has them (RFC 7518 6.3).
pub(super) struct RsaNumbers {
    pub(super) public: [Zeroizing<Vec<u8>>; 2],
    pub(super) private: [Zeroizing<Vec<u8>>; 6],
}

impl LocalKey {
    pub(in crate::oauth2) fn from_pkcs8(
        algorithm: SigningAlgorithm,
        der: &[u8],
    ) -> Result<Self, ConfigError> {
        match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                rsa::KeyPair::from_pkcs8(der).map(Self::Rsa)
            }
            SigningAlgorithm::Es256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new()).map(Self::P256)
            }
            // Without the public key beside it, as most tools write them.
            SigningAlgorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519)
            }
        }
        .map_err(|why| refused(algorithm, why))
    }

    /// RFC 8017 A.1.2.
    pub(super) fn from_pkcs1(algorithm: SigningAlgorithm, der: &[u8]) -> Result<Self, ConfigError> {
        let key = rsa::KeyPair::from_der(der).map_err(|why| refused(algorithm, why))?;
        Ok(Self::Rsa(key))
    }

    pub(super) fn from_rsa(
        algorithm: SigningAlgorithm,
        numbers: &RsaNumbers,
    ) -> Result<Self, ConfigError> {
        let [n, e] = numbers.public.each_ref().map(|number| number.as_slice());
        let [d, p, q, dp, dq, qi] = numbers.private.each_ref().map(|number| number.as_slice());
        let components = rsa::KeyPairComponents {
            public_key: rsa::PublicKeyComponents { n, e },
            d,
            p,
            q,
            dP: dp,
            dQ: dq,
            qInv: qi,
        };
        let key = rsa::KeyPair::from_components(&components);
        key.map(Self::Rsa).map_err(|why| refused(algorithm, why))
    }

    pub(super) fn from_p256(d: &[u8], x: &[u8], y: &[u8]) -> Result<Self, ConfigError> {
        // The point, uncompressed (SEC 1 2.3.3).
        let public = [&[4], x, y].concat();
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        EcdsaKeyPair::from_private_key_and_public_key(curve, d, &public, &random)
            .map(Self::P256)
            .map_err(|why| refused(SigningAlgorithm::Es256, why))
    }

    pub(super) fn from_ed25519(d: &[u8]) -> Result<Self, ConfigError> {
        let key = Ed25519KeyPair::from_seed_unchecked(d);
        key.map(Self::Ed25519)
            .map_err(|why| refused(SigningAlgorithm::EdDsa, why))
    }

    pub(in crate::oauth2) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, BoxError> {
        let no_random = |_| "the system has no random numbers";
        match self {
            Self::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(no_random)?;
                Ok(signature)
            }
            Self::P256(key) => {
                let signature = key.sign(&SystemRandom::new(), message);
                Ok(signature.map_err(no_random)?.as_ref().to_vec())
            }
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// With the feature `dpop`.
#[cfg(feature = "dpop")]
impl LocalKey {
    /// A new key on the curve P-256, as PKCS #8.
    pub(in crate::oauth2) fn generate_p256() -> Result<Zeroizing<Vec<u8>>, BoxError> {
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new());
        let key = key.map_err(|_| "the system has no random numbers")?;
        Ok(Zeroizing::new(key.as_ref().to_vec()))
    }

    /// The public part, with the members that make it and no others (RFC 7638 3.2).
    pub(in crate::oauth2) fn public_jwk(&self) -> Map<String, Value> {
        let encode = |bytes: &[u8]| Value::from(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let members = match self {
            Self::Rsa(key) => {
                let numbers = rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                vec![
                    ("kty", "RSA".into()),
                    ("n", encode(&numbers.n)),
                    ("e", encode(&numbers.e)),
                ]
            }
            Self::P256(key) => {
                // The point, uncompressed: a byte that says so, and two numbers of 32 bytes.
                let point = key.public_key().as_ref();
                vec![
                    ("kty", "EC".into()),
                    ("crv", "P-256".into()),
                    ("x", encode(&point[1..33])),
                    ("y", encode(&point[33..])),
                ]
            }
            Self::Ed25519(key) => vec![
                ("kty", "OKP".into()),
                ("crv", "Ed25519".into()),
                ("x", encode(key.public_key().as_ref())),
            ],
        };
        let members = members.into_iter();
        members
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// HS256 (RFC 7518 3.2).
pub(in crate::oauth2) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// The bytes of a member of a JWK.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    bytes.ok().map(Zeroizing::new)
}

/// The reason is one of the library's fixed words.
fn refused(algorithm: SigningAlgorithm, why: ring::error::KeyRejected) -> ConfigError {
    let name = algorithm.name();
    ConfigError::new("key", format!("can't be used for {name}: {why}"))
}
