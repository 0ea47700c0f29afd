//! The key to which tokens are bound, and its proofs of possession (RFC 9449 section 4.2).

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderName, HeaderValue, Method, Uri};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::nonces::{Nonces, Use};
use crate::{
    error::{BoxError, ConfigError},
    oauth2::jwt::{LocalKey, SigningAlgorithm, compact, jwk, random_id, signing_input},
};

/// The header that carries the proof.
pub(in crate::oauth2) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The key to which a client's tokens are bound (DPoP, RFC 9449). A stolen token is useless without
/// the key.
///
/// A [generated](Self::generate) key lasts as long as the process, which is enough if the tokens do
/// not outlast it. The refresh tokens of a client without a secret are also bound to the key. A
/// program that keeps such refresh tokens in a [store](crate::store) must keep the key too: create
/// it with [`generate_pem`](Self::generate_pem), and read it with [`from_pem`](Self::from_pem).
/// Processes that share the store must share the key.
///
/// The key also remembers the latest nonce of the token server and of each API. Neither `Debug`
/// output nor an error message shows the key. Clones are cheap and share the key.
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
    /// Generates an ES256 key.
    ///
    /// # Errors
    /// The system could not provide random numbers.
    pub fn generate() -> Result<Self, BoxError> {
        let der = LocalKey::generate_p256()?;
        let key = LocalKey::from_pkcs8(SigningAlgorithm::Es256, &der)?;
        Ok(Self::new(SigningAlgorithm::Es256, key))
    }

    /// Generates an ES256 key and returns it as PEM, to be stored. The text is a secret.
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

    /// Reads a private key from PEM, like
    /// [`SigningKey::from_pem`](super::super::SigningKey::from_pem).
    ///
    /// # Errors
    /// The text does not contain a key, or the key does not match the algorithm.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(algorithm, LocalKey::from_pem(algorithm, pem)?))
    }

    /// Reads a private key from a JSON Web Key, like
    /// [`SigningKey::from_jwk`](super::super::SigningKey::from_jwk).
    ///
    /// # Errors
    /// The text is not such a key, or its `alg` is not supported.
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

    /// Returns the SHA-256 thumbprint of the public key (RFC 7638). Bound tokens contain it as
    /// `jkt`.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        jwk::thumbprint(&self.inner.jwk)
    }

    /// Creates a proof for one attempt to send a request (R28).
    ///
    /// # Errors
    /// The URI has no host, or the system could not provide random numbers.
    pub(in crate::oauth2) fn prove(
        &self,
        usage: Use<'_>,
        method: &Method,
        uri: &Uri,
    ) -> Result<HeaderValue, BoxError> {
        let mut claims = Map::new();
        claims.insert("jti".into(), random_id()?.into());
        claims.insert("htm".into(), method.as_str().into());
        claims.insert("htu".into(), target(uri)?.into());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        claims.insert("iat".into(), now.as_secs().into());
        if let Use::Api(token) = usage {
            claims.insert("ath".into(), token_hash(token).into());
        }
        if let Some(nonce) = self.inner.nonces.get(usage, uri) {
            claims.insert("nonce".into(), nonce.into());
        }
        let header = Map::from_iter([
            ("typ".to_owned(), Value::from("dpop+jwt")),
            ("alg".to_owned(), self.inner.algorithm.name().into()),
            ("jwk".to_owned(), self.inner.jwk.clone().into()),
        ]);
        let input = signing_input(&header, &claims.into());
        let signature = self
            .inner
            .key
            .sign(self.inner.algorithm, input.as_bytes())?;
        Ok(HeaderValue::try_from(compact(input, &signature))?)
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

/// Returns the `htu` claim: the URI without its query and fragment, normalized as servers normalize
/// URIs before they compare them (RFC 3986 sections 6.2.2 and 6.2.3).
pub(super) fn target(uri: &Uri) -> Result<String, BoxError> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("a DPoP proof contains the whole URI: use absolute URIs".into());
    };
    let scheme = scheme.to_ascii_lowercase();
    let host = authority.host().to_ascii_lowercase();
    let default = if scheme == "https" { 443 } else { 80 };
    let port = authority.port_u16().filter(|port| *port != default);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let path = match uri.path() {
        "" => "/",
        path => path,
    };
    Ok(format!("{scheme}://{host}{port}{path}"))
}

/// Returns the `ath` claim.
pub(super) fn token_hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
