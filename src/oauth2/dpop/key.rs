//! The key that tokens are bound to.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::nonces::Nonces;
use crate::{
    error::{BoxError, ConfigError},
    oauth2::jwt::{LocalKey, SigningAlgorithm, jwk},
};

/// The key that a client's tokens are bound to (DPoP, RFC 9449): who steals a token can't use it
/// without the key.
///
/// One that is [generated](Self::generate) lives as long as the process, which is enough where tokens do
/// too. Refresh tokens of a client without a secret are bound to it as well: a program that keeps those in
/// a [store](crate::store) keeps the key beside them, made by [`generate_pem`](Self::generate_pem) and
/// read by [`from_pem`](Self::from_pem), and processes that share the store share the key.
///
/// The nonces that servers give are kept with the key, those of the token server and of each API apart.
/// Neither `Debug` nor an error shows the key. Cloning is cheap, and shares it.
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
    /// A new key for ES256.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, BoxError> {
        let der = LocalKey::generate_p256()?;
        let key = LocalKey::from_pkcs8(SigningAlgorithm::Es256, &der)?;
        Ok(Self::new(SigningAlgorithm::Es256, key))
    }

    /// A new key for ES256, as PEM, to be kept. It is a secret.
    ///
    /// # Errors
    /// The system has no random numbers.
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

    /// A private key as PEM, as [`SigningKey::from_pem`](super::super::SigningKey::from_pem) reads it.
    ///
    /// # Errors
    /// There is no such key, or it is none for this algorithm.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(algorithm, LocalKey::from_pem(algorithm, pem)?))
    }

    /// A private key as JSON Web Key, as [`SigningKey::from_jwk`](super::super::SigningKey::from_jwk)
    /// reads it.
    ///
    /// # Errors
    /// The text is no such key, or its `alg` is another.
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

    /// What names the key: the SHA-256 of its public part (RFC 7638), as tokens have it (`jkt`).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        jwk::thumbprint(&self.inner.jwk)
    }

    /// The public part.
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

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("algorithm", &self.inner.algorithm)
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}
