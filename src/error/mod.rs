//! The crate's error types, for requests, providers and settings.
//!
//! They all follow the same convention. `Display` prints only the error's own message, and
//! `source()` returns the next error, so that walking the chain prints each message once. The
//! alternate form (`{:#}`) and `Debug` print the messages of the whole chain, joined by `: `.

mod chain;
mod config;
mod provider;
#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

pub use self::{chain::BoxError, config::ConfigError, provider::ProviderError};
pub(crate) use self::{
    chain::{Chain, chain_debug},
    provider::Class,
};

/// The reason why a request was not sent with a credential.
///
/// [`Auth`](crate::Auth) boxes this error: downcast the service's error to get it. Errors of the
/// inner service pass through unchanged.
///
/// The message of this error is short, and [`source`](StdError::source) returns the next error: the
/// [`ProviderError`], then the error that it wraps, such as `oauth2::TokenError`. Print the whole
/// chain with `{:#}`. No message contains a secret. Cloning is cheap: all waiters of one refresh
/// share the same error.
///
/// ```
/// # fn handle(error: tower_auth::BoxError) {
/// if let Some(error) = error.downcast_ref::<tower_auth::Error>() {
///     if error.is_login_required() {
///         // Ask the user to log in, then call `handle.set_credential(...)`.
///     } else if let Some(wait) = error.retry_after() {
///         // No attempt is made before then.
///         println!("{error:#}; next attempt in {wait:?}");
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    /// Whether this is the error of an earlier attempt, because the next one is not due yet.
    remembered: bool,
    /// When the next attempt is due.
    retry_at: Option<Instant>,
}

/// The kind of failure that [`Error::kind`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The provider failed. The layer calls it again after a backoff.
    Provider,
    /// The provider needs new credentials, and is not called again until it gets them.
    LoginRequired,
    /// The provider did not return within the refresh timeout.
    Timeout,
    /// The refresh task panicked, or its runtime was shut down.
    Aborted,
    /// The service was called outside a tokio runtime, which the refresh needs.
    NoRuntime,
    /// [`Handle::log_out`](crate::Handle::log_out) was called.
    LoggedOut,
    /// The request's URI has no host, and the [`Origins`](crate::Origins) do not allow that.
    NoAuthority,
    /// The provider's own request went through the layer that is waiting for the provider.
    OwnTokenRequest,
    /// The request does not name a key.
    NoKey,
    /// The request's key has no provider.
    UnknownKey,
    /// The layer already has the maximum number of keys.
    TooManyKeys,
    /// [`Credential::apply`](crate::Credential::apply) failed.
    Apply,
    /// The local logout succeeded, but [`Provider::revoke`](crate::Provider::revoke) failed.
    Revoke,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            source: None,
            remembered: false,
            retry_at: None,
        }
    }

    /// Creates an error for a provider that failed to return a credential.
    pub(crate) fn provider(error: ProviderError) -> Self {
        let kind = match error.class() {
            Class::LoginRequired => ErrorKind::LoginRequired,
            Class::Transient | Class::Permanent => ErrorKind::Provider,
        };
        Self::new(kind).with_source(Arc::new(error))
    }

    /// Creates an error for a provider that failed to revoke a credential.
    pub(crate) fn revoke(error: ProviderError) -> Self {
        Self::new(ErrorKind::Revoke).with_source(Arc::new(error))
    }

    /// Creates an error for a credential that could not be attached to a request.
    pub(crate) fn apply(error: BoxError) -> Self {
        Self::new(ErrorKind::Apply).with_source(error.into())
    }

    fn with_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn retry_at(mut self, at: Option<Instant>) -> Self {
        self.retry_at = at;
        self
    }

    pub(crate) fn remembered(mut self) -> Self {
        self.remembered = true;
        self
    }

    /// Returns what failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the provider's error, if the provider failed.
    ///
    /// The wrapped error ([`ProviderError::get_ref`]) has the details, such as
    /// `oauth2::LoginRequired`.
    #[must_use]
    pub fn provider_error(&self) -> Option<&ProviderError> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Returns whether the provider failed, including when it needs new credentials.
    #[must_use]
    pub fn is_provider(&self) -> bool {
        matches!(self.kind, ErrorKind::Provider | ErrorKind::LoginRequired)
    }

    /// Returns whether the provider did not return within the refresh timeout.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }

    /// Returns whether this is the error of an earlier attempt, because the next one is not due
    /// yet. [`retry_after`](Self::retry_after) returns the time until then.
    #[must_use]
    pub fn is_backoff(&self) -> bool {
        self.remembered
    }

    /// Returns whether the provider needs new credentials. It is not called again until
    /// [`Handle::set_credential`](crate::Handle::set_credential) or
    /// [`Handle::resume`](crate::Handle::resume) is called.
    #[must_use]
    pub fn is_login_required(&self) -> bool {
        self.kind == ErrorKind::LoginRequired
    }

    /// Returns whether the layer is logged out: [`Handle::log_out`](crate::Handle::log_out) was
    /// called, and neither [`set_credential`](crate::Handle::set_credential) nor
    /// [`resume`](crate::Handle::resume) has been called since.
    #[must_use]
    pub fn is_logged_out(&self) -> bool {
        self.kind == ErrorKind::LoggedOut
    }

    /// Returns whether the request's key has no provider, in a layer for many users.
    #[cfg(feature = "per-key")]
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        self.kind == ErrorKind::UnknownKey
    }

    /// Returns the time until the next attempt to get a credential, if one is scheduled.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_at
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        f.write_str(match self.kind {
            ErrorKind::Provider | ErrorKind::LoginRequired => "failed to get a credential",
            ErrorKind::Timeout => {
                "failed to get a credential: the provider did not return within the refresh timeout"
            }
            ErrorKind::Aborted => {
                "failed to get a credential: the refresh task panicked, or its runtime was shut down"
            }
            ErrorKind::NoRuntime => {
                "failed to get a credential: a refresh needs a tokio runtime, so call the service \
                 from within one"
            }
            ErrorKind::LoggedOut => {
                "logged out: supply a new credential with Handle::set_credential, or allow \
                 refreshes again with Handle::resume"
            }
            ErrorKind::NoAuthority => {
                "the request's URI has no host, so the layer cannot tell whether the credential \
                 may go there: send absolute URIs, or build the layer with \
                 Origins::for_relative_uris"
            }
            ErrorKind::OwnTokenRequest => {
                "a request of the provider went through the layer that is waiting for the \
                 provider: give the provider an HTTP client without this layer"
            }
            ErrorKind::NoKey => {
                "the request does not name a key: insert the key into its extensions, or tell the \
                 layer where to find it with key_from"
            }
            ErrorKind::UnknownKey => {
                "the request's key has no provider: the layer's function returned None for it"
            }
            ErrorKind::TooManyKeys => {
                "the layer has no room for another key, because every key it keeps has state that \
                 would be lost: give the providers a store, or raise PerKeySettings::max_keys"
            }
            ErrorKind::Apply => "failed to attach the credential to the request",
            ErrorKind::Revoke => {
                "logged out locally, but the provider failed to revoke the credential"
            }
        })?;
        if self.remembered {
            f.write_str(" (remembered from the last attempt)")?;
        }
        Ok(())
    }
}

chain_debug!(Error, kind);

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}
