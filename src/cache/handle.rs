//! Access to the credential for code that does not send requests through the layer.

use std::{ops::Deref, sync::Arc, time::SystemTime};

use super::{acquire::Acquired, cache::Cache, snapshot::Snapshot, status::Status};
use crate::{credential::Credential, error::Error, provider::Issued};

/// A handle to a layer's credential, for use outside of requests: for WebSockets and other
/// protocols that need the credential itself, for logging out, and for operators.
///
/// A handle is cheap to clone. Its only type parameter is the type of the credential. Get one from
/// [`AuthLayer::handle`](crate::AuthLayer::handle) or [`Auth::handle`](crate::Auth::handle); it
/// shares the credential and refreshes of that layer or service.
///
/// ```
/// use tower_auth::{AuthLayer, Handle, Origins, credential::Bearer};
///
/// # async fn connect(_: &str) -> Result<(), u16> { Ok(()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = AuthLayer::new(Bearer::new("token")?, Origins::only("https://api.example.com")?);
/// let handle: Handle<Bearer> = layer.handle();
///
/// let current = handle.credential().await?;
/// if let Err(401) = connect(current.expose()).await {
///     handle.reject(&current);
///     let newer = handle.credential().await?;
///     # let _ = newer;
/// }
/// # Ok(()) }
/// ```
pub struct Handle<C> {
    pub(super) cache: Arc<Cache<C>>,
}

impl<C: Credential> Handle<C> {
    pub(crate) fn new(cache: Arc<Cache<C>>) -> Self {
        Self { cache }
    }

    /// Returns the current credential. If a refresh is needed, starts or joins it and waits.
    ///
    /// # Errors
    /// The same as for requests: see [`Error`].
    pub async fn credential(&self) -> Result<CurrentCredential<C>, Error> {
        let snapshot = match self.cache.acquire() {
            Acquired::Use(snapshot) => snapshot,
            Acquired::Wait(wait) => wait.outcome().await?,
            Acquired::Fail(error) => return Err(error),
        };
        Ok(CurrentCredential { snapshot })
    }

    /// Reports that a server rejected this credential. It is then replaced before its next use.
    ///
    /// A report identifies a generation, so any number of reports cause one refresh, and a late
    /// report does not affect a newer credential. A report does nothing for a permanent credential,
    /// or once rejections have caused too many refreshes.
    pub fn reject(&self, current: &CurrentCredential<C>) {
        self.cache.invalidate_rejected(current.snapshot.generation);
    }

    /// Requires a refresh before the credential's next use, regardless of its lifetime. This is for
    /// operators: the number of calls is not limited.
    pub fn invalidate(&self) {
        self.cache.invalidate();
    }

    /// Logs out: drops the credential, waits for the in-flight refresh to end, and calls
    /// [`Provider::revoke`](crate::Provider::revoke) with the credential and with any credential
    /// that this refresh issued.
    ///
    /// From the first poll, calls fail with an error that reports the logout, until
    /// [`set_credential`](Self::set_credential) or [`resume`](Self::resume) is called. The logout
    /// continues if the future is dropped after its first poll.
    ///
    /// # Errors
    /// The provider failed, or did not return within the refresh timeout. The credential is dropped
    /// locally in any case.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.cache.log_out().await
    }

    /// Replaces the current credential with one from another source, such as a login or another
    /// process. Ends a logout, a backoff, and the wait for a new login. Waiters get the credential
    /// immediately.
    pub fn set_credential(&self, issued: Issued<C>) {
        self.cache.set_credential(issued);
    }

    /// Allows refreshes again after [`log_out`](Self::log_out), or after the provider required a
    /// new login. Also ends a backoff.
    pub fn resume(&self) {
        self.cache.resume();
    }

    /// Returns a snapshot of the credential's state, for operators and health checks.
    #[must_use]
    pub fn status(&self) -> Status {
        self.cache.status()
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self {
            cache: Arc::clone(&self.cache),
        }
    }
}

partial_debug!(Handle<C>);

/// The current credential and its generation, as returned by [`Handle::credential`]. Pass it to
/// [`Handle::reject`] if a server rejects it. Dereferences to the credential.
pub struct CurrentCredential<C> {
    pub(super) snapshot: Arc<Snapshot<C>>,
}

impl<C> CurrentCredential<C> {
    /// Returns the credential's generation. It increases with each different credential.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// Returns when the credential expires by the system clock, or `None` if the expiry is not
    /// known or the credential does not expire.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.snapshot.expires_at()
    }
}

impl<C> Deref for CurrentCredential<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.snapshot.credential
    }
}

impl<C> Clone for CurrentCredential<C> {
    fn clone(&self) -> Self {
        Self {
            snapshot: Arc::clone(&self.snapshot),
        }
    }
}

partial_debug!(CurrentCredential<C>, generation = generation());
