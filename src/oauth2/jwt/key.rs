//! Keys that sign JWTs, wherever they are.

use std::{fmt, future::Future, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};

use super::{jwk, local::LocalKey, pem};
use crate::error::{BoxError, ConfigError};

/// A private key that signs JWTs: one that is here, or one that never leaves its vault.
///
/// It is for [`private_key_jwt`](super::super::Builder::private_key_jwt), and
/// [`sign_jwt`](Self::sign_jwt) signs other claims, such as the assertions of
/// [`JwtBearer`](super::super::JwtBearer). Neither `Debug` nor an error shows the key. Cloning is
/// cheap, and shares it.
///
/// ```
/// use tower_auth::oauth2::{SigningAlgorithm, SigningKey};
///
/// # async fn ask_the_vault(_: &[u8]) -> Result<Vec<u8>, std::io::Error> { Ok(vec![0; 64]) }
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// # let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
/// let here = SigningKey::from_jwk(jwk)?;
/// let in_a_vault = SigningKey::remote(SigningAlgorithm::Es256, |message| async move {
///     ask_the_vault(&message).await
/// })
/// .key_id("2026-11");
/// # let _ = (here, in_a_vault); Ok(()) }
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

/// How a JWT is signed (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSA of at least 2048 bits, PKCS #1 v1.5, SHA-256. All servers know it.
    Rs256,
    /// RSA of at least 2048 bits, PSS, SHA-256.
    Ps256,
    /// ECDSA on the curve P-256, SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// The name in a JWT's `alg`, such as `RS256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl SigningKey {
    /// A private key as PEM: `PRIVATE KEY` (PKCS #8), or `RSA PRIVATE KEY`. Anything else before or
    /// after is skipped.
    ///
    /// # Errors
    /// There is no such key, or it is none for this algorithm.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, ConfigError> {
        Ok(Self::local(algorithm, pem::parse(algorithm, pem)?))
    }

    /// A private key as JSON Web Key (RFC 7517): of the types `RSA`, `EC` with `P-256`, `OKP` with
    /// `Ed25519`. Its `kid` goes along; its `alg` says how it signs. Without one RSA keys sign with
    /// `RS256`.
    ///
    /// # Errors
    /// The text is no such key, or its `alg` is another.
    pub fn from_jwk(jwk: &str) -> Result<Self, ConfigError> {
        let (algorithm, key, id) = jwk::parse(jwk)?;
        Ok(Self {
            key_id: id,
            ..Self::local(algorithm, key)
        })
    }

    /// A key that is elsewhere: in a key management service, an HSM, an agent. `sign` gets the
    /// bytes to be signed, and gives the signature as JWTs have it (RFC 7518 3): for ES256 that is
    /// `r` and `s`, 32 bytes each, not the DER that many services give.
    ///
    /// It is called once for each JWT. Its error is a transient failure of the refresh; the message
    /// is shown to users and must hold no secret.
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

    /// The key's name at the server (`kid`), where that knows several. Default: that of the JWK,
    /// else none.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// A signed JWT with these claims, an object, as they are. What belongs into them (`iss`, `aud`,
    /// `exp` ..) says the specification that the JWT is for.
    ///
    /// # Errors
    /// Signing failed: see [`remote`](Self::remote). A key that is here fails only where the system
    /// has no random numbers.
    pub async fn sign_jwt(&self, claims: &Value) -> Result<String, BoxError> {
        let mut header = Map::new();
        header.insert("typ".into(), "JWT".into());
        self.sign_jws(header, claims).await
    }

    /// A JWS in its compact form (RFC 7515 7.1): `alg` and `kid` are added to the header.
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
            // DER instead is the usual mistake, and servers only call it a wrong signature.
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa if signature.len() != 64 => {
                Err(format!(
                    "a signature of {} has 64 bytes, and this one has {}: give `r` and `s`, not DER",
                    self.algorithm.name(),
                    signature.len()
                )
                .into())
            }
            _ => Ok(signature),
        }
    }
}

/// What is signed of a JWS (RFC 7515 5.1).
pub(in crate::oauth2) fn signing_input(header: &Map<String, Value>, claims: &Value) -> String {
    let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
    let header = encode(Value::from(header.clone()).to_string());
    format!("{header}.{}", encode(claims.to_string()))
}

pub(in crate::oauth2) fn compact(input: String, signature: &[u8]) -> String {
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
