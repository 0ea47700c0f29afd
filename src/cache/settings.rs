//! What can be set on a cache. All clones of a layer share it.

use std::time::Duration;

use super::backoff::Backoff;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What those who watch know it by.
    pub(crate) name: &'static str,
    /// How long before its expiry a credential is refreshed at most; `None` means not early.
    pub(crate) early_refresh: Option<Duration>,
    /// The lifetime of a credential that came without one.
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) refresh_timeout: Duration,
    pub(crate) backoff: Backoff,
}

impl Default for Settings {
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
