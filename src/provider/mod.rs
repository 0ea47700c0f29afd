//! Providers, which obtain credentials.
//!
//! [`Provider`] is the one trait that a custom source of credentials implements. A provider only
//! knows how to obtain *the next* credential. The layer decides when to call it, which requests
//! wait for the result, what a failure means for them, and when the next attempt is due. It never
//! calls a provider twice at the same time. Therefore a provider needs no lock, cache, retry or
//! backoff.
//!
//! [`provider_fn`] creates a provider from a closure:
//!
//! ```
//! use std::time::Duration;
//! use tower_auth::{AuthLayer, Issued, Origins, ProviderError, credential::Bearer, provider_fn};
//!
//! # async fn request_token() -> Result<(String, u64), std::io::Error> { Ok(("t".into(), 60)) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = provider_fn(|_context| async {
//!     let (token, seconds) = request_token().await.map_err(ProviderError::transient)?;
//!     let token = Bearer::new(token).map_err(ProviderError::permanent)?;
//!     Ok(Issued::new(token).expires_in(Duration::from_secs(seconds)))
//! });
//! let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
//! # let _ = layer; Ok(()) }
//! ```

mod boxed;
#[cfg(feature = "command")]
mod command;
mod context;
#[cfg(feature = "file")]
mod file;
mod fixed;
mod function;
mod issued;
#[cfg(any(feature = "command", feature = "file"))]
mod jwt;

use std::future::Future;

#[cfg(feature = "command")]
pub use self::command::CommandToken;
#[cfg(feature = "file")]
pub use self::file::FileToken;
pub use self::{
    boxed::BoxProvider,
    context::{Reason, RefreshContext, RevokeContext},
    function::{ProviderFn, provider_fn},
    issued::Issued,
};
pub(crate) use self::{
    boxed::{ErasedProvider, erase},
    context::RefreshControl,
    issued::Lifetime,
};
use crate::{challenge::StepUp, credential::Credential, error::ProviderError};

/// A source of credentials.
///
/// The layer calls [`issue`](Self::issue) in a separate task, at most once at a time, and never
/// cancels it because a caller was dropped. Give a provider an HTTP client *without* the layer: a
/// token request that is sent through the layer would wait for the refresh that sent it, so it
/// fails with an error that explains this. If the provider sends the request from a task that it
/// spawned, the request waits until the refresh timeout instead.
///
/// The `test_util` module (feature `test-util`) creates the arguments of these methods for tests.
pub trait Provider: Send + Sync + 'static {
    /// The type of the credentials.
    type Credential: Credential;

    /// Obtains the next credential.
    ///
    /// # Cancellation
    /// The future is dropped when [`RefreshContext::deadline`] passes, unless
    /// [`RefreshContext::commit`] has been called by then.
    ///
    /// # Errors
    /// The class of the error determines what callers get and when the next attempt is made.
    fn issue(
        &self,
        context: RefreshContext<Self::Credential>,
    ) -> impl Future<Output = Result<Issued<Self::Credential>, ProviderError>> + Send;

    /// Returns a credential that is available without a request, such as a static one or one that
    /// was saved earlier. The layer calls this once, before the first call of
    /// [`issue`](Self::issue).
    ///
    /// Default: `None`.
    fn initial(&self) -> Option<Issued<Self::Credential>> {
        None
    }

    /// Returns whether a newly created provider could replace this one, because everything it needs
    /// is in its settings or in a store.
    ///
    /// A provider that holds the only copy of something, such as a rotated refresh token, returns
    /// `false`. A layer for many users does not drop such a provider.
    ///
    /// Default: `true`.
    fn is_restorable(&self) -> bool {
        true
    }

    /// Returns whether [`issue`](Self::issue) can obtain a credential that meets a requirement of
    /// the server beyond validity, such as more scopes.
    ///
    /// If so, the layer calls `issue` with [`Reason::StepUp`] and the server's challenges, and
    /// retries the request with the new credential. Every later credential should meet the
    /// requirement too, so remember what the server granted.
    ///
    /// The layer ensures that a request steps up only once. The rejection budget limits how many
    /// refreshes a server that is never satisfied can cause.
    ///
    /// Default: `false`. Callers get the server's response.
    fn can_step_up(&self, wanted: &StepUp) -> bool {
        let _ = wanted;
        false
    }

    /// Ends the session at logout: revokes the credentials at the server and deletes stored tokens.
    /// The layer has already discarded its own copies.
    ///
    /// Default: does nothing.
    ///
    /// # Errors
    /// The caller of [`Handle::log_out`](crate::Handle::log_out) gets the error. The layer stays
    /// logged out.
    fn revoke(
        &self,
        context: RevokeContext<Self::Credential>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Erases the provider's type, so that a program can choose between providers at run time.
    fn boxed(self) -> BoxProvider<Self::Credential>
    where
        Self: Sized,
    {
        BoxProvider::new(self)
    }
}
