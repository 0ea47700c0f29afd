//! Access tokens that are bound to a key.

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{
    key::{DPOP, DpopKey},
    nonces::Use,
};
use crate::{
    challenge::Challenge,
    credential::{Bearer, Credential, RequestHeadMut, ResponseHead, header_value, unshared_value},
    error::{BoxError, ConfigError},
    oauth2::grant::sealed,
};

/// An access token that is bound to a key (DPoP, RFC 9449 section 7). Each attempt to send a
/// request carries the token and a new proof for the request's method and URI.
///
/// If an API asks for a nonce in a 401 response, the request is signed and sent again with the same
/// token. This does not count as the layer's retry (RFC 9449 section 9).
///
/// A builder's [`dpop`](crate::oauth2::Builder::dpop) makes the provider issue these tokens.
#[derive(Clone)]
pub struct DpopToken {
    token: Bearer,
    value: HeaderValue,
    key: DpopKey,
}

impl DpopToken {
    /// Combines a token with the key for which it was issued.
    ///
    /// # Errors
    /// The token contains characters that are not allowed in a header.
    pub fn new(token: Bearer, key: DpopKey) -> Result<Self, ConfigError> {
        let value = Zeroizing::new(["DPoP ", token.expose()].concat().into_bytes());
        Ok(Self {
            value: header_value("token", value)?,
            token,
            key,
        })
    }

    /// Returns the token, for uses other than HTTP requests. It is a secret: do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.token.expose()
    }

    /// Returns the scope of the token: see [`Bearer::scope`].
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.token.scope()
    }
}

impl sealed::AccessToken for DpopToken {
    type Binding = DpopKey;

    fn bind(token: Bearer, key: &DpopKey) -> Result<Self, ConfigError> {
        Self::new(token, key.clone())
    }

    fn into_bearer(self) -> Bearer {
        self.token
    }
}

impl Credential for DpopToken {
    const HANDLES_CHALLENGES: bool = true;

    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        let usage = Use::Api(self.token.expose());
        let mut proof = self.key.prove(usage, request.method(), request.uri())?;
        if request.insert_header(&AUTHORIZATION, self.value.clone()) {
            proof.set_sensitive(true);
            request.headers_mut().insert(DPOP, proof);
        }
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.token.is_same(&other.token) && self.key.is_same(&other.key)
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        let usage = Use::Api(self.token.expose());
        let nonces = self.key.nonces();
        let has_nonce = nonces.learn(usage, response.uri(), response.headers());
        has_nonce
            && response.status() == StatusCode::UNAUTHORIZED
            && Challenge::from_headers(response.headers())
                .iter()
                .any(|challenge| challenge.param("error") == Some("use_dpop_nonce"))
    }

    fn unshared(&self) -> Self {
        Self {
            token: self.token.unshared(),
            value: unshared_value(&self.value),
            key: self.key.clone(),
        }
    }
}

partial_debug!(DpopToken);
