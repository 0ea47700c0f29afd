//! Proofs of possession (RFC 9449 section 4.2).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method, Uri};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{key::DpopKey, nonces::Use};
use crate::{
    error::BoxError,
    oauth2::jwt::{compact, random_id, signing_input},
};

/// The header that carries the proof.
pub(in crate::oauth2) const DPOP: HeaderName = HeaderName::from_static("dpop");

impl DpopKey {
    /// Creates a proof for one attempt of a request (R28).
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
        if let Some(nonce) = self.nonces().get(usage, uri) {
            claims.insert("nonce".into(), nonce.into());
        }
        let header = Map::from_iter([
            ("typ".to_owned(), Value::from("dpop+jwt")),
            ("alg".to_owned(), self.algorithm().name().into()),
            ("jwk".to_owned(), self.jwk().clone().into()),
        ]);
        let input = signing_input(&header, &claims.into());
        let signature = self.sign(input.as_bytes())?;
        Ok(HeaderValue::try_from(compact(input, &signature))?)
    }
}

/// The `htu` claim: without query and fragment, and normalized as servers do before they compare
/// (RFC 3986 6.2.2 and 6.2.3).
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

/// The `ath` claim.
pub(super) fn token_hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
