//! The error type for providers.

use std::{error::Error as StdError, fmt, time::Duration};

use super::chain::{BoxError, Chain, chain_debug};

/// The reason why a provider did not return a credential, and whether another attempt makes sense.
///
/// The constructor decides when the layer calls the provider again. Providers do not retry.
///
/// | constructor | for example | next attempt |
/// |---|---|---|
/// | [`transient`](Self::transient) | a network error, a 5xx, a 429 | after a jittered backoff, from 0.5 s to 30 s |
/// | [`permanent`](Self::permanent) | a wrong setting, a rejected client | after 2 s, doubling up to 60 s |
/// | [`login_required`](Self::login_required) | a revoked refresh token | after `set_credential` or `resume` |
///
/// The messages in the source chain are shown to users and written to logs, so they must not
/// contain a secret.
pub struct ProviderError {
    class: Class,
    source: BoxError,
    retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Transient,
    Permanent,
    LoginRequired,
}

impl ProviderError {
    /// Creates an error for a failure that may not recur on the next attempt.
    pub fn transient(source: impl Into<BoxError>) -> Self {
        Self::new(Class::Transient, source.into())
    }

    /// Creates an error for a failure that most likely needs human action. The layer still retries
    /// occasionally, because servers also report temporary problems this way.
    pub fn permanent(source: impl Into<BoxError>) -> Self {
        Self::new(Class::Permanent, source.into())
    }

    /// Creates an error for a provider whose own credential (a refresh token, a password) was
    /// permanently rejected. The layer does not call it again until new credentials are supplied.
    pub fn login_required(source: impl Into<BoxError>) -> Self {
        Self::new(Class::LoginRequired, source.into())
    }

    fn new(class: Class, source: BoxError) -> Self {
        Self {
            class,
            source,
            retry_after: None,
        }
    }

    /// Sets the minimum delay before the next attempt, such as a server's `Retry-After`. The layer
    /// honors it up to 5 minutes. Default: the backoff alone determines the delay.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns whether the failure may not recur on the next attempt.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class == Class::Transient
    }

    /// Returns whether the failure most likely needs human action.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.class == Class::Permanent
    }

    /// Returns whether the provider needs new credentials.
    #[must_use]
    pub fn is_login_required(&self) -> bool {
        self.class == Class::LoginRequired
    }

    /// Returns the wrapped error.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        f.write_str(match self.class {
            Class::Transient => "temporary provider error",
            Class::Permanent => "provider error",
            Class::LoginRequired => "log in again",
        })
    }
}

chain_debug!(ProviderError, class);

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
