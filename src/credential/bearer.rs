//! Bearer tokens.

use std::fmt;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{Credential, RequestHeadMut, detached_name, parse_name};
use crate::{
    error::{BoxError, ConfigError},
    secret,
};

const SCHEME: &str = "Bearer ";

/// A bearer token (RFC 6750): `Authorization: Bearer <token>`.
///
/// As a provider it issues itself, as a permanent credential: for personal access tokens and other
/// tokens that never change.
///
/// ```
/// use tower_auth::credential::Bearer;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let token = Bearer::new("test-08/12/2024-01/01/2025-xxxx")?;
/// assert_eq!(token.expose(), "test-08/12/2024-01/01/2025-xxxx");
///
/// // For a server that reads it elsewhere.
/// let token = token.header_name("Authentication")?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bearer {
    header: HeaderName,
    /// Scheme and token, ready to be sent.
    value: HeaderValue,
    scope: Option<Box<str>>,
}

impl Bearer {
    /// A token, without the word `Bearer`.
    ///
    /// All visible ASCII characters are let through, not only those of RFC 6750's `b64token`: real
    /// tokens carry `|` and others.
    ///
    /// # Errors
    /// The token is empty, or has spaces, control characters or characters beyond ASCII. The error
    /// does not show it.
    pub fn new(token: impl Into<String>) -> Result<Self, ConfigError> {
        let token = Zeroizing::new(token.into());
        if token.is_empty() {
            return Err(ConfigError::new("token", "is empty"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "token",
                "has spaces, control characters or characters beyond ASCII, which no bearer token \
                 has (give it without the word `Bearer`, and without the end of the line)",
            ));
        }
        let value = Zeroizing::new([SCHEME, &token].concat().into_bytes());
        Ok(Self {
            header: AUTHORIZATION,
            value: secret::header_value("token", value)?,
            scope: None,
        })
    }

    /// Sends the token in another header, with the word `Bearer` all the same. Default:
    /// `Authorization`.
    ///
    /// # Errors
    /// The name is no header name.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Result<Self, ConfigError> {
        self.header = parse_name("header_name", name)?;
        Ok(self)
    }

    /// The token itself, for what is not an HTTP request. It is a secret: don't log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.value
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix(SCHEME))
            .unwrap_or_default()
    }

    /// The scope of a token that a token endpoint issued: as granted, or as requested if the
    /// server did not say otherwise (RFC 6749 5.1). `None` where no scope is known.
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
        request.insert_header(&self.header, self.value.clone());
        Ok(())
    }

    fn is_attached(current: Option<&Self>, request: &RequestHeadMut<'_>) -> bool {
        let header = current.map_or(&AUTHORIZATION, |bearer| &bearer.header);
        request.headers().contains_key(header)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.header == other.header && self.value == other.value
    }

    fn detach(&self) -> Self {
        Self {
            header: detached_name(&self.header),
            value: secret::detached(&self.value),
            scope: self.scope.clone(),
        }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
