//! Settings for refreshing a credential.

use std::time::Duration;

use super::backoff::Backoff;
use crate::time::MAX_LIFETIME;

/// Settings for when and how a credential is refreshed. Pass them to
/// [`AuthLayer::with_settings`](crate::AuthLayer::with_settings).
///
/// ```
/// use std::time::Duration;
/// use tower_auth::{AuthLayer, Origins, RefreshSettings, credential::Bearer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = RefreshSettings::default()
///     .name("billing")
///     .early_refresh(Duration::from_secs(60));
/// let origins = Origins::only("https://api.example.com")?;
/// let layer = AuthLayer::with_settings(Bearer::new("token")?, origins, settings);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RefreshSettings {
    pub(super) name: &'static str,
    pub(super) early_refresh: Option<Duration>,
    pub(super) default_lifetime: Option<Duration>,
    pub(super) refresh_timeout: Duration,
    pub(super) backoff: Backoff,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        Self {
            name: "",
            early_refresh: Some(Duration::from_secs(300)),
            default_lifetime: None,
            refresh_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

impl RefreshSettings {
    /// Sets the name used in spans, events and metrics, for programs with several layers. It has an
    /// effect only with the `tracing` and `metrics` features. Default: `""`.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets the maximum time before expiry at which an early refresh starts. Requests continue to
    /// use the credential in the meantime. Default: 5 min.
    ///
    /// The actual time is also at most 40% of the lifetime. It is then shortened at random by up to
    /// a quarter, so that many processes do not refresh at the same time.
    ///
    /// `None` turns early refresh off. Credentials are then refreshed only in the last 5% of their
    /// lifetime (at most the last 10 s), when callers have to wait for the refresh.
    pub fn early_refresh(mut self, margin: impl Into<Option<Duration>>) -> Self {
        self.early_refresh = margin.into();
        self
    }

    /// Sets the lifetime of credentials that are issued without one. Default: `None`, which means
    /// that such a credential is used until a server rejects it.
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.default_lifetime = lifetime.into();
        self
    }

    /// Sets how long callers wait for a refresh, and how long a provider may take (see
    /// [`RefreshContext::deadline`](crate::RefreshContext::deadline)). Default: 10 s.
    pub fn refresh_timeout(mut self, timeout: Duration) -> Self {
        self.refresh_timeout = timeout.min(MAX_LIFETIME);
        self
    }

    /// Sets the delays between failed attempts. Default: [`Backoff::default`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

/// Settings for a layer for many users: how many keys it keeps, for how long, and the
/// [`RefreshSettings`] of each key. Pass them to
/// [`AuthLayer::per_key_with`](crate::AuthLayer::per_key_with).
#[cfg(feature = "per-key")]
#[derive(Clone, Debug)]
#[must_use]
pub struct PerKeySettings {
    pub(super) max_keys: usize,
    pub(super) max_idle: Duration,
    pub(super) refresh: RefreshSettings,
}

#[cfg(feature = "per-key")]
impl Default for PerKeySettings {
    fn default() -> Self {
        Self {
            max_keys: 10_000,
            max_idle: Duration::from_secs(3600),
            refresh: RefreshSettings::default(),
        }
    }
}

#[cfg(feature = "per-key")]
impl PerKeySettings {
    /// Sets the maximum number of keys that are kept. The same limit applies separately to keys
    /// that cannot be dropped. Default: 10,000.
    pub fn max_keys(mut self, number: usize) -> Self {
        self.max_keys = number;
        self
    }

    /// Sets the time without a request after which a key may be dropped. Default: one hour.
    pub fn max_idle(mut self, time: Duration) -> Self {
        self.max_idle = time;
        self
    }

    /// Sets when and how each key's credential is refreshed.
    pub fn refresh(mut self, settings: RefreshSettings) -> Self {
        self.refresh = settings;
        self
    }
}
