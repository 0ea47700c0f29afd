//! A scripted provider.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    credential::Bearer,
    error::ProviderError,
    provider::{Issued, Provider, RefreshContext},
    sync::lock,
};

/// A provider of the bearer tokens `test-1`, `test-2`, ... Clones share its state, so that a test
/// can keep a clone.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, ProviderError, test_util::TestProvider};
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let provider = TestProvider::new();
/// let layer = AuthLayer::new(provider.clone(), Origins::only("https://api.example.com")?);
/// // ... requests carry `authorization: Bearer test-1` ...
/// provider.fail_next(|| ProviderError::transient("no network"));
/// // ... the next refresh fails ...
/// assert_eq!(provider.calls(), 0);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct TestProvider {
    lifetime: Option<Duration>,
    latency: Duration,
    state: Arc<Mutex<State>>,
}

type MakeError = Box<dyn FnOnce() -> ProviderError + Send>;

#[derive(Default)]
struct State {
    calls: u64,
    failures: VecDeque<MakeError>,
}

impl TestProvider {
    /// Creates a provider that immediately returns tokens with a lifetime of one hour.
    pub fn new() -> Self {
        Self {
            lifetime: Some(Duration::from_secs(3600)),
            latency: Duration::ZERO,
            state: Arc::default(),
        }
    }

    /// Sets the lifetime of tokens, or `None` for an unknown lifetime. Default: 1 hour.
    pub fn lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.lifetime = lifetime.into();
        self
    }

    /// Sets how long a call takes. Default: zero.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Makes the next call fail with this error. If this is called several times, each call to the
    /// provider returns one of the errors, in order.
    pub fn fail_next(&self, error: impl FnOnce() -> ProviderError + Send + 'static) {
        self.state().failures.push_back(Box::new(error));
    }

    /// Returns how often the provider was called.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Default for TestProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for TestProvider {
    type Credential = Bearer;

    async fn issue(&self, _: RefreshContext<Bearer>) -> Result<Issued<Bearer>, ProviderError> {
        let (number, failure) = {
            let mut state = self.state();
            state.calls += 1;
            (state.calls, state.failures.pop_front())
        };
        sleep(self.latency).await;
        if let Some(error) = failure {
            return Err(error());
        }
        let token = Bearer::new(format!("test-{number}")).map_err(ProviderError::permanent)?;
        let issued = Issued::new(token);
        Ok(match self.lifetime {
            Some(lifetime) => issued.expires_in(lifetime),
            None => issued,
        })
    }
}

partial_debug!(TestProvider, lifetime, latency, calls = calls());
