//! Private keys held in this process.

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
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
#[cfg(feature = "dpop")]
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::algorithm::SigningAlgorithm;
use crate::error::{BoxError, ConfigError};

pub(in crate::oauth2) enum LocalKey {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The members of an RSA key in a JWK (RFC 7518 section 6.3).
pub(super) struct RsaNumbers {
    pub(super) public: [Zeroizing<Vec<u8>>; 2],
    pub(super) private: [Zeroizing<Vec<u8>>; 6],
}

impl LocalKey {
    /// Reads the first private key in the text. Other sections are skipped.
    pub(in crate::oauth2) fn from_pem(
        algorithm: SigningAlgorithm,
        text: &str,
    ) -> Result<Self, ConfigError> {
        use SigningAlgorithm::{Es256, Ps256, Rs256};

        let key = PrivateKeyDer::pem_slice_iter(text.as_bytes()).find_map(Result::ok);
        let key = Zeroizing::new(key.ok_or_else(|| unreadable_pem(text))?);
        match (&*key, algorithm) {
            (PrivateKeyDer::Pkcs8(_), _) => Self::from_pkcs8(algorithm, key.secret_der()),
            (PrivateKeyDer::Pkcs1(_), Rs256 | Ps256) => {
                let key = rsa::KeyPair::from_der(key.secret_der());
                key.map(Self::Rsa).map_err(|why| refused(algorithm, why))
            }
            (PrivateKeyDer::Sec1(_), Es256) => Self::from_sec1(key.secret_der()),
            _ => Err(ConfigError::new(
                "key",
                format!(
                    "is of another type than {} needs: check the algorithm, or use another key",
                    algorithm.name()
                ),
            )),
        }
    }

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
            // Most tools write the private key without the public key.
            SigningAlgorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519)
            }
        }
        .map_err(|why| refused(algorithm, why))
    }

    /// Reads a P-256 key in SEC 1 form (RFC 5915). ring reads this form only inside PKCS #8.
    fn from_sec1(sec1: &[u8]) -> Result<Self, ConfigError> {
        // Version 0, and the algorithm: an EC public key on the P-256 curve (RFC 5208 section 5).
        const VERSION_AND_CURVE: &[u8] = b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\
            \x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        const SEQUENCE: u8 = 0x30;
        const OCTET_STRING: u8 = 0x04;

        let key = der_element(OCTET_STRING, &[sec1])?;
        let pkcs8 = der_element(SEQUENCE, &[VERSION_AND_CURVE, &key])?;
        Self::from_pkcs8(SigningAlgorithm::Es256, &pkcs8)
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
        // An uncompressed point (SEC 1 section 2.3.3).
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
        let no_random = |_| "the system's random number generator failed";
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

#[cfg(feature = "dpop")]
impl LocalKey {
    /// Generates a P-256 key in PKCS #8 form.
    pub(in crate::oauth2) fn generate_p256() -> Result<Zeroizing<Vec<u8>>, BoxError> {
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new());
        let key = key.map_err(|_| "the system's random number generator failed")?;
        Ok(Zeroizing::new(key.as_ref().to_vec()))
    }

    /// Returns the public key with only its required members (RFC 7638 section 3.2).
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
                // An uncompressed point: a tag byte and two 32-byte coordinates.
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

/// Computes an HS256 signature (RFC 7518 section 3.2).
pub(in crate::oauth2) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// Decodes a member of a JWK.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    bytes.ok().map(Zeroizing::new)
}

/// Returns a DER element with a length below 256, which is enough for a P-256 key.
fn der_element(tag: u8, parts: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let content = Zeroizing::new(parts.concat());
    let header: &[u8] = match u8::try_from(content.len()) {
        Ok(length @ ..0x80) => &[tag, length],
        Ok(length) => &[tag, 0x81, length],
        Err(_) => {
            return Err(ConfigError::new(
                "key",
                "is not a P-256 key: it is too long",
            ));
        }
    };
    Ok(Zeroizing::new([header, &content].concat()))
}

/// Explains why a text has no usable private key. The parser's own errors can quote the text.
fn unreadable_pem(text: &str) -> ConfigError {
    let problem = if text.contains("ENCRYPTED") {
        "is encrypted: decrypt it first, for example with `openssl pkcs8`"
    } else if text.contains("PRIVATE KEY-----") {
        "cannot be read: it is damaged, or in a format other than PKCS #8, PKCS #1 or SEC 1 \
         (convert it with `openssl pkcs8 -topk8 -nocrypt`)"
    } else if text.contains("PUBLIC KEY-----") {
        "is a public key: signing needs the private key"
    } else {
        "is not PEM: it has no `-----BEGIN PRIVATE KEY-----`"
    };
    ConfigError::new("key", problem)
}

/// Creates the error for a key that ring does not accept. `KeyRejected` is one of a fixed set of
/// messages, none of which contains any part of the key.
fn refused(algorithm: SigningAlgorithm, why: ring::error::KeyRejected) -> ConfigError {
    let name = algorithm.name();
    ConfigError::new("key", format!("cannot be used for {name}: {why}"))
}
