//! The key to which tokens are bound.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::nonces::Nonces;
use crate::{
    error::{BoxError, ConfigError},
    oauth2::jwt::{LocalKey, SigningAlgorithm, jwk},
};

/// The key to which a client's tokens are bound (DPoP, RFC 9449). A stolen token is useless without
/// the key.
///
/// A [generated](Self::generate) key lasts as long as the process, which is enough if the tokens do
/// too. The refresh tokens of a client without a secret are also bound to the key. A program that
/// keeps them in a [store](crate::store) must keep the key too: create it with
/// [`generate_pem`](Self::generate_pem), and read it with [`from_pem`](Self::from_pem). Processes
/// that share the store must share the key.
///
/// The key also remembers the latest nonce of the token server and of each API. Neither `Debug` nor
/// an error shows the key. Clones are cheap and share the key.
///
/// ```
/// use tower_auth::oauth2::{DpopKey, SigningAlgorithm};
///
/// # fn main() -> Result<(), tower_auth::BoxError> {
/// let for_this_process = DpopKey::generate()?;
///
/// let kept = DpopKey::generate_pem()?; // a secret
/// let for_all_processes = DpopKey::from_pem(SigningAlgorithm::Es256, &kept)?;
/// # let _ = (for_this_process, for_all_processes); Ok(()) }
/// ```
#[derive(Clone)]
pub struct DpopKey {
    inner: Arc<Inner>,
}

struct Inner {
    algorithm: SigningAlgorithm,
    key: LocalKey,
    jwk: Map<String, Value>,
    nonces: Nonces,
}

impl DpopKey {
    /// Generates a key for ES256.
    ///
    /// # Errors
    /// The system could not provide random numbers.
    pub fn generate() -> Result<Self, BoxError> {
        let der = LocalKey::generate_p256()?;
        let key = LocalKey::from_pkcs8(SigningAlgorithm::Es256, &der)?;
        Ok(Self::new(SigningAlgorithm::Es256, key))
    }

    /// Generates a key for ES256 as PEM, to be stored. It is a secret.
    ///
    /// # Errors
    /// The system could not provide random numbers.
    pub fn generate_pem() -> Result<String, BoxError> {
        let text = BASE64_STANDARD.encode(&*LocalKey::generate_p256()?);
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// Reads a private key as PEM, like
    /// [`SigningKey::from_pem`](super::super::SigningKey::from_pem).
    ///
    /// # Errors
    /// The text does not contain a key, or the key does not fit the algorithm.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(algorithm, LocalKey::from_pem(algorithm, pem)?))
    }

    /// Reads a private key as a JSON Web Key, like
    /// [`SigningKey::from_jwk`](super::super::SigningKey::from_jwk).
    ///
    /// # Errors
    /// The text is not such a key, or its `alg` does not fit.
    pub fn from_jwk(jwk: &str) -> Result<Self, ConfigError> {
        let (algorithm, key, _) = jwk::parse(jwk)?;
        Ok(Self::new(algorithm, key))
    }

    fn new(algorithm: SigningAlgorithm, key: LocalKey) -> Self {
        Self {
            inner: Arc::new(Inner {
                algorithm,
                jwk: key.public_jwk(),
                key,
                nonces: Nonces::default(),
            }),
        }
    }

    /// Returns the SHA-256 thumbprint of the public key (RFC 7638), which bound tokens contain
    /// (`jkt`).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        jwk::thumbprint(&self.inner.jwk)
    }

    /// The public key.
    pub(super) fn jwk(&self) -> &Map<String, Value> {
        &self.inner.jwk
    }

    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        self.inner.algorithm
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        self.inner.key.sign(self.inner.algorithm, message)
    }

    pub(in crate::oauth2) fn nonces(&self) -> &Nonces {
        &self.inner.nonces
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.inner.jwk == other.inner.jwk
    }
}

partial_debug!(
    DpopKey,
    algorithm = inner.algorithm,
    thumbprint = thumbprint()
);
