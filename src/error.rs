//! The errors of the crate: what a call fails with, what a provider fails with, and what bad
//! configuration fails with.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

/// An error of any type, as tower's middleware uses it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why no credential could be put on a request.
///
/// It is what [`Auth`](crate::Auth) fails with for reasons of its own; find it by downcasting the
/// service's boxed error. The inner service's errors pass through untouched.
///
/// The message says what happened and holds no secret. Cloning is cheap: everyone who waited for
/// the same refresh holds the same error.
///
/// ```
/// # fn handle(error: tower_auth::BoxError) {
/// if let Some(error) = error.downcast_ref::<tower_auth::Error>() {
///     if error.is_login_required() {
///         // ask the person to log in, then `handle.set_credential(..)`
///     } else if let Some(wait) = error.retry_after() {
///         // no attempt is made before that
///         println!("{error}; trying again in {wait:?}");
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    /// The error of an earlier attempt, given again because no new attempt is due yet.
    remembered: bool,
    /// When the next attempt is due.
    retry_at: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The provider failed.
    Provider(Arc<ProviderError>),
    /// The provider did not answer within the refresh timeout.
    Timeout,
    /// The refresh task ended without an answer: it panicked, or its runtime was shut down.
    Stopped,
    /// There is no tokio runtime to run the refresh on.
    NoRuntime,
    /// `forget` was called, and neither `set_credential` nor `resume` since.
    LoggedOut,
    /// The request's URI names no host, and the policy does not say which one is meant.
    NoAuthority,
    /// The provider's own request came through the layer that is waiting for it.
    OwnTokenRequest,
    /// The request names no key.
    #[cfg(feature = "per-key")]
    NoKey,
    /// There is no provider for the request's key.
    #[cfg(feature = "per-key")]
    UnknownKey,
    /// There is no room for another key.
    #[cfg(feature = "per-key")]
    TooManyKeys,
    /// The credential could not be put on the request.
    Apply(Arc<dyn StdError + Send + Sync>),
    /// Logged out here, but not everything that belongs to it worked.
    Forget(Arc<ProviderError>),
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            remembered: false,
            retry_at: None,
        }
    }

    pub(crate) fn retry_at(mut self, at: Option<Instant>) -> Self {
        self.retry_at = at;
        self
    }

    pub(crate) fn remembered(mut self) -> Self {
        self.remembered = true;
        self
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether the provider failed (its error is the message of this one).
    #[must_use]
    pub fn is_provider(&self) -> bool {
        matches!(self.kind, Kind::Provider(_))
    }

    /// The provider's error, where there is one: what it was made from
    /// ([`ProviderError::get_ref`]) says more, such as `oauth2::LoginRequired`.
    #[must_use]
    pub fn provider_error(&self) -> Option<&ProviderError> {
        match &self.kind {
            Kind::Provider(error) | Kind::Forget(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the provider did not answer within the refresh timeout.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::Timeout)
    }

    /// Whether this is the error of an earlier attempt: the next one is not due yet, and
    /// [`retry_after`](Self::retry_after) says when it is.
    #[must_use]
    pub fn is_backoff(&self) -> bool {
        self.remembered
    }

    /// Whether only new credentials help: no further attempt is made until
    /// [`Handle::set_credential`](crate::Handle::set_credential) or [`Handle::resume`](crate::Handle::resume).
    #[must_use]
    pub fn is_login_required(&self) -> bool {
        matches!(&self.kind, Kind::Provider(error) if error.class == Class::LoginRequired)
    }

    /// Whether [`Handle::log_out`](crate::Handle::log_out) was called, and neither
    /// [`set_credential`](crate::Handle::set_credential) nor [`resume`](crate::Handle::resume) since.
    #[must_use]
    pub fn is_logged_out(&self) -> bool {
        matches!(self.kind, Kind::LoggedOut)
    }

    /// Whether a layer for many users has no provider for the request's key.
    #[cfg(feature = "per-key")]
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        matches!(self.kind, Kind::UnknownKey)
    }

    /// How long until the next attempt to get a credential is due, where one is planned.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_at
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Provider(error) => write!(f, "no credential: {error}")?,
            Kind::Timeout => {
                f.write_str(
                    "no credential: the provider did not answer within the refresh timeout",
                )?;
            }
            Kind::Stopped => f.write_str(
                "no credential: the refresh ended without an answer (it panicked, or its runtime \
                 was shut down)",
            )?,
            Kind::NoRuntime => f.write_str(
                "no credential: a refresh needs a tokio runtime, call the service from within one",
            )?,
            Kind::LoggedOut => f.write_str(
                "logged out: give new credentials with Handle::set_credential, or allow refreshes again with \
                 Handle::resume",
            )?,
            Kind::NoAuthority => f.write_str(
                "the request's URI names no host, so it is unknown whether the credential may go \
                 there: send absolute URIs, or build the layer with Origins::for_relative_uris(..)",
            )?,
            Kind::OwnTokenRequest => f.write_str(
                "a request of the provider came through the layer that waits for that provider: \
                 give the provider an HTTP client without this layer",
            )?,
            #[cfg(feature = "per-key")]
            Kind::NoKey => f.write_str(
                "the request does not say whose credential it needs: put the key into its \
                 extensions, or tell the layer with PerKeyLayer::key_from where it is",
            )?,
            #[cfg(feature = "per-key")]
            Kind::UnknownKey => f.write_str(
                "there is no provider for the request's key: the layer's function gave none",
            )?,
            #[cfg(feature = "per-key")]
            Kind::TooManyKeys => f.write_str(
                "there is no room for another key: all hold what cannot be had again; give their \
                 providers a store, or raise PerKeySettings::max_keys",
            )?,
            Kind::Apply(error) => {
                write!(f, "the credential cannot be put on the request: {error}")?
            }
            Kind::Forget(error) => write!(
                f,
                "logged out here, but the provider could not undo everything elsewhere: {error}"
            )?,
        }
        if self.remembered {
            f.write_str(" (remembered from the last attempt)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("remembered", &self.remembered)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    // The messages of the wrapped errors are part of this one's, so the chain goes on below them.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.kind {
            Kind::Provider(error) | Kind::Forget(error) => error.source(),
            Kind::Apply(error) => error.source(),
            _ => None,
        }
    }
}

/// Why a provider could not issue a credential, and whether trying again makes sense.
///
/// The class decides what happens next (all of it is done by the layer, never by the provider):
///
/// | constructor | meaning | next attempt |
/// |---|---|---|
/// | [`transient`](Self::transient) | the network, a 5xx, a 429 | after a jittered backoff from 0.5 s to 30 s |
/// | [`permanent`](Self::permanent) | wrong settings, refused client | after 2 s, doubling to 60 s |
/// | [`login_required`](Self::login_required) | only new credentials help | after `set_credential` or `resume` |
///
/// The source's message is shown to users and written to logs: it must hold no secret.
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
    /// A failure that may be gone at the next attempt.
    pub fn transient(source: impl Into<BoxError>) -> Self {
        Self::new(Class::Transient, source.into())
    }

    /// A failure that will most likely stay until somebody changes something. It is still tried
    /// again now and then, because servers call passing troubles permanent too.
    pub fn permanent(source: impl Into<BoxError>) -> Self {
        Self::new(Class::Permanent, source.into())
    }

    /// What the provider lives on (a refresh token, a password) was refused for good: it is not
    /// called again until new credentials are given.
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

    /// The earliest time for the next attempt, as a server's `Retry-After` gives it. The layer
    /// honours it up to 5 minutes. Default: none, the backoff alone decides.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether the failure may be gone at the next attempt.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class == Class::Transient
    }

    /// Whether the failure will most likely stay until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.class == Class::Permanent
    }

    /// Whether only new credentials help.
    #[must_use]
    pub fn is_login_required(&self) -> bool {
        self.class == Class::LoginRequired
    }

    /// The error this one was made from.
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
        if self.class == Class::LoginRequired {
            f.write_str("log in again: ")?;
        }
        self.source.fmt(f)
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("class", &self.class)
            .field("source", &self.source)
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}

/// Why a setting was refused: which one, and what would be accepted.
///
/// Values that can be secret are never part of the message.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }

    /// The setting that was refused, such as `origin`, `token` or `client_id`.
    #[must_use]
    pub fn field(&self) -> &str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigError({self})")
    }
}

impl StdError for ConfigError {}
