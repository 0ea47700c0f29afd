//! Providers: where credentials come from.
//!
//! [`Provider`] is the one trait a user implements. A provider only knows how to get *the next*
//! credential; when that happens, who waits for it, what a failure means for callers and when the
//! next attempt is due are the layer's business, the same for every provider. So a provider needs
//! no lock, no cache, no retry and no backoff of its own: it is never called twice at once.
//!
//! For a provider without state, [`provider_fn`] makes one from a closure:
//!
//! ```
//! use std::time::Duration;
//! use tower_auth::{AuthLayer, Issued, Origins, ProviderError, credential::Bearer, provider_fn};
//!
//! # async fn ask_somebody() -> Result<(String, u64), std::io::Error> { Ok(("t".into(), 60)) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = provider_fn(|_context| async {
//!     let (token, seconds) = ask_somebody().await.map_err(ProviderError::transient)?;
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

/// Where credentials come from.
///
/// The layer calls [`issue`](Self::issue) from a task of its own, at most once at a time, and
/// never cancels it because a caller went away. See [`RefreshContext`] for what a call is told.
pub trait Provider: Send + Sync + 'static {
    /// What this provider issues.
    type Credential: Credential;

    /// Gets the next credential.
    ///
    /// # Cancellation
    /// The future is dropped when [`RefreshContext::deadline`] passes, unless
    /// [`RefreshContext::commit`] was called before.
    ///
    /// # Errors
    /// The class of the error decides what callers see and when the next attempt is made.
    fn issue(
        &self,
        context: RefreshContext<Self::Credential>,
    ) -> impl Future<Output = Result<Issued<Self::Credential>, ProviderError>> + Send;

    /// A credential that is at hand without asking anybody: a permanent one, or one that was
    /// saved earlier. Asked once, before the first call to [`issue`](Self::issue).
    ///
    /// Default: none.
    fn initial(&self) -> Option<Issued<Self::Credential>> {
        None
    }

    /// Whether a provider made anew could issue what this one can: whether all it lives on is in
    /// its settings or in a store. One that holds the only copy of something, such as a refresh
    /// token that was rotated, says `false`, and is then not dropped by a layer for many users.
    ///
    /// Default: `true`.
    fn is_restorable(&self) -> bool {
        true
    }

    /// Whether [`issue`](Self::issue) could get a credential that has what a server wants beyond a
    /// valid one: more scopes, say. If so it is called with [`Reason::StepUp`] and the server's
    /// challenges, and the request is sent again with what it brings. From then on every credential
    /// should have it, so remember what was added once it was granted.
    ///
    /// The layer sees to it that a request steps up once, and that a server that is never content
    /// does not cause refreshes without end (the budget of rejections).
    ///
    /// Default: no; callers get the server's response.
    fn can_step_up(&self, wanted: &StepUp) -> bool {
        let _ = wanted;
        false
    }

    /// Undoes at log-out what belongs to the credentials issued so far: revokes them at the
    /// server, empties the store. The layer has forgotten them already when it calls this.
    ///
    /// Default: nothing.
    ///
    /// # Errors
    /// The one who logs out gets the error; the layer stays logged out.
    fn revoke(
        &self,
        context: RevokeContext<Self::Credential>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Hides the provider's type, for choosing one at run time.
    fn boxed(self) -> BoxProvider<Self::Credential>
    where
        Self: Sized,
    {
        BoxProvider::new(self)
    }
}
