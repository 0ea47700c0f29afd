//! Keys that sign JWTs, local or remote.

use std::{future::Future, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};

use super::{algorithm::SigningAlgorithm, jwk, local::LocalKey};
use crate::error::{BoxError, ConfigError};

/// A private key that signs JWTs. It is held in this process, or stays in a key management service.
///
/// Pass it to [`private_key_jwt`](super::super::Builder::private_key_jwt), or sign other claims
/// with [`sign_jwt`](Self::sign_jwt), such as the assertions of
/// [`JwtBearer`](super::super::JwtBearer). Neither `Debug` output nor an error message shows the
/// key. Cloning is cheap, and clones share the key.
///
/// ```
/// use tower_auth::oauth2::{SigningAlgorithm, SigningKey};
///
/// # async fn sign_in_kms(_: &[u8]) -> Result<Vec<u8>, std::io::Error> { Ok(vec![0; 64]) }
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// # let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
/// let local = SigningKey::from_jwk(jwk)?;
/// let remote = SigningKey::remote(SigningAlgorithm::Es256, |message| async move {
///     sign_in_kms(&message).await
/// })
/// .key_id("2026-11");
/// # let _ = (local, remote); Ok(()) }
/// ```
#[derive(Clone)]
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
    signer: Signer,
}

#[derive(Clone)]
enum Signer {
    Local(Arc<LocalKey>),
    Remote(Arc<RemoteFn>),
}

type RemoteFn = dyn Fn(Bytes) -> BoxFuture<'static, Result<Vec<u8>, BoxError>> + Send + Sync;

impl SigningKey {
    /// Reads a private key from PEM: `PRIVATE KEY` (PKCS #8), `RSA PRIVATE KEY` (PKCS #1) or
    /// `EC PRIVATE KEY` (SEC 1). Other sections, such as certificates, are skipped.
    ///
    /// # Errors
    /// The text has no readable private key, or the key does not match the algorithm.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, ConfigError> {
        Ok(Self::local(algorithm, LocalKey::from_pem(algorithm, pem)?))
    }

    /// Reads a private key from a JSON Web Key (RFC 7517) of type `RSA`, `EC` with `P-256`, or
    /// `OKP` with `Ed25519`. Its `kid` is included in each JWT, and its `alg` selects the
    /// algorithm. The default for RSA keys is `RS256`.
    ///
    /// # Errors
    /// The text is not such a key, or its `alg` is not supported.
    pub fn from_jwk(jwk: &str) -> Result<Self, ConfigError> {
        let (algorithm, key, id) = jwk::parse(jwk)?;
        Ok(Self {
            key_id: id,
            ..Self::local(algorithm, key)
        })
    }

    /// Creates a key that signs elsewhere, such as in a key management service, an HSM or an agent.
    /// `sign` receives the bytes to sign and returns the signature in the form that JWTs use (RFC
    /// 7518 section 3). For ES256 that is `r` and `s`, 32 bytes each, not the DER that many
    /// services return.
    ///
    /// `sign` is called once for each JWT. If it returns an error, that is a transient failure of
    /// the refresh. Users see the error's message, so it must not contain a secret.
    pub fn remote<F, Fut, E>(algorithm: SigningAlgorithm, sign: F) -> Self
    where
        F: Fn(Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let sign = move |message| {
            let signature = sign(message);
            async move { signature.await.map_err(Into::into) }.boxed()
        };
        Self {
            algorithm,
            key_id: None,
            signer: Signer::Remote(Arc::new(sign)),
        }
    }

    fn local(algorithm: SigningAlgorithm, key: LocalKey) -> Self {
        Self {
            algorithm,
            key_id: None,
            signer: Signer::Local(Arc::new(key)),
        }
    }

    /// Sets the key ID (`kid`), for servers that know several of the client's keys. The default is
    /// the `kid` of the JWK, if there is one.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// Returns the signature algorithm.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Signs a JWT with these claims, which must be a JSON object. No claim is added. Which claims
    /// are needed (`iss`, `aud`, `exp` and so on) depends on what the JWT is for.
    ///
    /// # Errors
    /// Signing failed: see [`remote`](Self::remote). A local key fails only if the system's random
    /// number generator does.
    pub async fn sign_jwt(&self, claims: &Value) -> Result<String, BoxError> {
        let mut header = Map::new();
        header.insert("typ".into(), "JWT".into());
        self.sign_jws(header, claims).await
    }

    /// Creates a signed JWS in compact form (RFC 7515 section 7.1). Adds `alg` and `kid` to the
    /// header.
    pub(in crate::oauth2) async fn sign_jws(
        &self,
        mut header: Map<String, Value>,
        claims: &Value,
    ) -> Result<String, BoxError> {
        header.insert("alg".into(), self.algorithm.name().into());
        if let Some(id) = &self.key_id {
            header.insert("kid".into(), id.as_str().into());
        }
        let input = signing_input(&header, claims);
        let signature = self.sign(Bytes::from(input.clone())).await?;
        Ok(compact(input, &signature))
    }

    pub(super) async fn sign(&self, message: Bytes) -> Result<Vec<u8>, BoxError> {
        let signature = match &self.signer {
            Signer::Local(key) => key.sign(self.algorithm, &message)?,
            Signer::Remote(sign) => sign(message).await?,
        };
        match self.algorithm {
            // DER is the usual mistake, and servers only report an invalid signature.
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa if signature.len() != 64 => {
                Err(format!(
                    "an {} signature must be 64 bytes, but `sign` returned {}: return `r` and `s`, \
                     not DER",
                    self.algorithm.name(),
                    signature.len()
                )
                .into())
            }
            _ => Ok(signature),
        }
    }
}

/// Returns the part of a JWS that is signed (RFC 7515 section 5.1).
pub(in crate::oauth2) fn signing_input(header: &Map<String, Value>, claims: &Value) -> String {
    let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
    let header = encode(Value::from(header.clone()).to_string());
    format!("{header}.{}", encode(claims.to_string()))
}

pub(in crate::oauth2) fn compact(input: String, signature: &[u8]) -> String {
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

partial_debug!(SigningKey, algorithm, key_id);
