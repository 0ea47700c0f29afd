//! A bearer token.

use http::{HeaderName, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{
    Credential, RequestHead, RequestHeadMut,
    credential_header::{CredentialHeader, header_value, parse_name},
};
use crate::error::{BoxError, ConfigError};

const SCHEME: &str = "Bearer ";

/// A bearer token (RFC 6750): `Authorization: Bearer <token>`.
///
/// It is also its own provider, for personal access tokens and other tokens that never change.
///
/// ```
/// use tower_auth::credential::Bearer;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let token = Bearer::new("test-08/12/2024-01/01/2025-xxxx")?;
/// assert_eq!(token.expose(), "test-08/12/2024-01/01/2025-xxxx");
///
/// // Some servers read the token from a different header.
/// let token = token.header_name("Authentication")?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bearer {
    /// Its value consists of the scheme and the token.
    header: CredentialHeader,
    scope: Option<Box<str>>,
}

impl Bearer {
    /// Creates a credential from a token, which must not include the `Bearer` prefix.
    ///
    /// All visible ASCII characters are allowed, not only those of RFC 6750's `b64token`, because
    /// real tokens also contain `|` and other characters.
    ///
    /// # Errors
    /// The token is empty, or contains spaces, control characters or non-ASCII characters. The
    /// error does not show it.
    pub fn new(token: impl Into<String>) -> Result<Self, ConfigError> {
        let token = Zeroizing::new(token.into());
        if token.is_empty() {
            return Err(ConfigError::new("token", "is empty"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "token",
                "contains spaces, control characters or non-ASCII characters, which a bearer token \
                 cannot have (pass it without the word `Bearer` and without a line ending)",
            ));
        }
        let value = Zeroizing::new([SCHEME, &token].concat().into_bytes());
        let header = CredentialHeader {
            name: AUTHORIZATION,
            value: header_value("token", value)?,
        };
        Ok(Self {
            header,
            scope: None,
        })
    }

    /// Sends the token in another header, still with the `Bearer` prefix. Default: `Authorization`.
    ///
    /// # Errors
    /// The name is not a valid header name.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Result<Self, ConfigError> {
        self.header.name = parse_name("header_name", name)?;
        Ok(self)
    }

    /// Returns the token itself, for uses other than HTTP requests. It is a secret: do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        let value = self.header.value.to_str().ok();
        value
            .and_then(|value| value.strip_prefix(SCHEME))
            .unwrap_or_default()
    }

    /// Returns the scope of a token that a token endpoint issued: the granted scope, or the
    /// requested one if the token response has none (RFC 6749 section 5.1). Returns `None` if the
    /// scope is unknown.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    #[cfg(feature = "oauth2")]
    pub(crate) fn with_scope(mut self, scope: Option<Box<str>>) -> Self {
        self.scope = scope;
        self
    }
}

impl Credential for Bearer {
    #[inline]
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        self.header.attach_to(request);
        Ok(())
    }

    fn is_attached(current: Option<&Self>, request: &RequestHead<'_>) -> bool {
        let name = current.map_or(&AUTHORIZATION, |bearer| &bearer.header.name);
        request.headers().contains_key(name)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.header == other.header
    }

    fn unshared(&self) -> Self {
        Self {
            header: self.header.unshared(),
            scope: self.scope.clone(),
        }
    }
}

partial_debug!(Bearer, header = header.name);
