//! The tokens that a store keeps.

use std::time::{Duration, SystemTime};

use crate::secret::Secret;

/// An access token and its related values, as a store keeps them.
///
/// `Debug` does not show the tokens, and the memory of the tokens is wiped on drop. A store writes
/// the values that the getters return, and re-creates the set with the `with_` methods:
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    expires_at: Option<SystemTime>,
    lifetime: Option<Duration>,
    scope: Option<String>,
}

impl TokenSet {
    /// Creates a set with only an access token.
    pub fn new(access_token: impl Into<String>) -> Self {
        Self {
            access_token: Some(Secret::new(access_token)),
            ..Self::empty()
        }
    }

    /// Creates a set with only a refresh token.
    pub fn from_refresh_token(refresh_token: impl Into<String>) -> Self {
        Self::empty().with_refresh_token(refresh_token)
    }

    /// Creates a set without tokens.
    ///
    /// A set with only a refresh token becomes empty once the server has rejected that token. A
    /// store keeps the empty set too, so that no process sends the refresh token again.
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

    /// Sets the refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        self.refresh_token = Some(Secret::new(refresh_token));
        self
    }

    /// Sets the time at which the access token expires, by the system clock.
    #[must_use]
    pub fn with_expires_at(mut self, moment: SystemTime) -> Self {
        self.expires_at = Some(moment);
        self
    }

    /// Sets the lifetime that the access token had when it was issued.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets the granted scopes, separated by spaces.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Removes the refresh token, after the server has rejected it.
    #[must_use]
    pub fn without_refresh_token(mut self) -> Self {
        self.refresh_token = None;
        self
    }

    /// Returns the access token, if the set has one. It is a secret: do not log it.
    #[must_use]
    pub fn expose_access_token(&self) -> Option<&str> {
        self.access_token.as_ref().map(Secret::expose)
    }

    /// Returns the refresh token, if the set has one. It is a secret: do not log it.
    #[must_use]
    pub fn expose_refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(Secret::expose)
    }

    /// Returns the time at which the access token expires, by the clock of the machine that
    /// obtained it. Returns `None` if the server did not send a lifetime.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Returns the lifetime that the access token had when it was issued.
    ///
    /// It limits the lifetime that a machine with a different clock computes from
    /// [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Returns the granted scopes, separated by spaces, or `None` if they are unknown.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Returns the remaining lifetime, by this machine's clock, or `None` if the expiry is unknown.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let left = self.expires_at?.duration_since(now).unwrap_or_default();
        Some(self.lifetime.map_or(left, |lifetime| left.min(lifetime)))
    }
}
