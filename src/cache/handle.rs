//! What a program does with a credential beside sending requests.

use std::{fmt, ops::Deref, sync::Arc, time::SystemTime};

use super::{acquire::Acquired, cache::Cache, snapshot::Snapshot, status::Status};
use crate::{credential::Credential, error::Error, provider::Issued};

/// The way to a layer's credential from outside of requests: for websockets and other protocols
/// that need the credential itself, for log-out, and for operators.
///
/// A handle is cheap to clone, and needs to know the credential's type only. It comes from
/// [`AuthLayer::handle`](crate::AuthLayer::handle) or [`Auth::handle`](crate::Auth::handle), and
/// shares everything with them.
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

    /// The credential in use, after a refresh if one is needed. Joins a refresh in progress.
    ///
    /// # Errors
    /// As for requests: see [`Error`].
    pub async fn credential(&self) -> Result<CurrentCredential<C>, Error> {
        let snapshot = match self.cache.acquire() {
            Acquired::Use(snapshot) => snapshot,
            Acquired::Wait(wait) => wait.outcome().await?,
            Acquired::Fail(error) => return Err(error),
        };
        Ok(CurrentCredential { snapshot })
    }

    /// Reports that a server refused this credential, which is then replaced before its next use.
    ///
    /// It names its generation, so any number of reports cause one refresh, and a late report does
    /// not touch a newer credential. Refreshes caused by rejections have a budget: beyond it this
    /// does nothing, nor for a permanent credential.
    pub fn reject(&self, current: &CurrentCredential<C>) {
        self.cache.invalidate_rejected(current.snapshot.generation);
    }

    /// Has the credential refreshed before its next use, whatever its lifetime. For operators:
    /// nothing limits how often.
    pub fn invalidate(&self) {
        self.cache.invalidate();
    }

    /// Logs out: forgets the credential, waits for a refresh under way, and has the provider undo
    /// (revoke, empty its store) what belongs to the credential and to what that refresh brought.
    /// From the first poll on calls fail as logged out, until [`set_credential`](Self::set_credential) or
    /// [`resume`](Self::resume). Goes on if the future is dropped after its first poll.
    ///
    /// # Errors
    /// The provider failed, or did not answer within the refresh timeout. The credential is
    /// forgotten here all the same.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.cache.log_out().await
    }

    /// Uses a credential that came from elsewhere (a login, another process) from now on. Ends a
    /// log-out, a backoff, and the wait for a new login. Callers who wait for a refresh get it at
    /// once.
    pub fn set_credential(&self, issued: Issued<C>) {
        self.cache.set_credential(issued);
    }

    /// Allows refreshes again after [`log_out`](Self::log_out), or after the provider asked for a
    /// new login. Ends a backoff too.
    pub fn resume(&self) {
        self.cache.resume();
    }

    /// How it stands with the credential, for people and health checks.
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

impl<C> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A credential in use, with its number: what [`Handle::credential`] gives and
/// [`Handle::reject`] takes. Dereferences to the credential.
pub struct CurrentCredential<C> {
    pub(super) snapshot: Arc<Snapshot<C>>,
}

impl<C> CurrentCredential<C> {
    /// The number of this credential. Numbers grow with each different credential.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// When it expires by the system's clock; `None` if that is not known, or never.
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

impl<C> fmt::Debug for CurrentCredential<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCredential")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
