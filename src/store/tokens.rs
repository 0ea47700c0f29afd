//! What is kept in a store.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::secret::Secret;

/// An access token and what belongs to it, as a store keeps it.
///
/// Its `Debug` shows no token, and its memory is wiped when dropped. A store writes what the
/// methods give, and makes it again with the builder methods:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_auth::store::TokenSet;
///
/// let tokens = TokenSet::new("access")
///     .with_refresh_token("refresh")
///     .with_expires_at(SystemTime::now() + Duration::from_secs(3600))
///     .with_scope("items:read");
/// assert_eq!(tokens.expose_refresh_token(), Some("refresh"));
/// assert!(!format!("{tokens:?}").contains("refresh\""));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSet {
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    expires_at: Option<SystemTime>,
    lifetime: Option<Duration>,
    scope: Option<String>,
}

impl TokenSet {
    /// An access token that nothing else is known of.
    pub fn new(access_token: impl Into<String>) -> Self {
        Self {
            access_token: Some(Secret::new(access_token)),
            ..Self::empty()
        }
    }

    /// A refresh token from which to get the rest.
    pub fn from_refresh_token(refresh_token: impl Into<String>) -> Self {
        Self::empty().with_refresh_token(refresh_token)
    }

    /// No token at all: what is left of a refresh token that brought nothing, when the server has
    /// refused it. A store keeps that too, so that nobody sends it again.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            expires_at: None,
            lifetime: None,
            scope: None,
        }
    }

    /// Adds the refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        self.refresh_token = Some(Secret::new(refresh_token));
        self
    }

    /// Says when the access token expires, by the system's clock.
    #[must_use]
    pub fn with_expires_at(mut self, moment: SystemTime) -> Self {
        self.expires_at = Some(moment);
        self
    }

    /// Says how long the access token lasted when it was issued.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Says what was granted.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Takes the refresh token away, when the server has refused it.
    #[must_use]
    pub fn without_refresh_token(mut self) -> Self {
        self.refresh_token = None;
        self
    }

    /// The access token, if there is one yet. It is a secret: don't log it.
    #[must_use]
    pub fn expose_access_token(&self) -> Option<&str> {
        self.access_token.as_ref().map(Secret::expose)
    }

    /// The refresh token, if there is one. It is a secret: don't log it.
    #[must_use]
    pub fn expose_refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(Secret::expose)
    }

    /// When the access token expires, by the clock of the machine that fetched it; `None` if the
    /// server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// How long the access token lasted when it was issued. It bounds what a machine whose clock
    /// differs makes of [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// What was granted, separated by spaces; `None` if that is not known.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The lifetime that is left, by this machine's clock; `None` if there is no known end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let left = self.expires_at?.duration_since(now).unwrap_or_default();
        Some(self.lifetime.map_or(left, |lifetime| left.min(lifetime)))
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .field("expires_at", &self.expires_at)
            .field("lifetime", &self.lifetime)
            .field("scope", &self.scope)
            .finish()
    }
}
