//! Rejections, logouts, and everything else that changes a credential outside of a refresh.

use std::sync::Arc;

use tokio::time::timeout;

use super::{
    acquire::Acquired,
    cache::Cache,
    state::{Effects, State, TooManyRejections},
    status::Status,
    sync::runtime,
};
use crate::{
    challenge::Challenge,
    credential::Credential,
    error::{Error, ErrorKind, ProviderError},
    provider::{Issued, Reason, RevokeContext},
};

impl<C: Credential> Cache<C> {
    /// Handles a server's rejection of a generation, which must not belong to a permanent
    /// credential. Returns the newer credential if there is one; otherwise joins or starts the
    /// refresh.
    ///
    /// # Errors
    /// Rejections have caused too many refreshes recently.
    pub(crate) fn reject(
        self: &Arc<Self>,
        generation: u64,
        reason: Reason,
        challenges: Vec<Challenge>,
    ) -> Result<Acquired<C>, TooManyRejections> {
        let rejected = self.transition(
            |state, env| state.reject(generation, (reason, challenges), env),
            |next, refresh| next.map(|next| self.acquired(next, refresh)),
        )?;
        Ok(rejected.unwrap_or_else(|| self.acquire()))
    }

    /// Counts a rejection of a generation without starting a refresh.
    pub(crate) fn note_rejection(self: &Arc<Self>, generation: u64) {
        self.update(|state, env| state.note_rejection(generation, env));
    }

    /// Handles a user's report that a server rejected a generation.
    pub(super) fn invalidate_rejected(self: &Arc<Self>, generation: u64) {
        self.update(|state, env| state.invalidate_rejected(generation, env));
    }

    /// Makes the next use of the current credential wait for a refresh.
    pub(super) fn invalidate(self: &Arc<Self>) {
        self.update(State::invalidate);
    }

    /// Replaces the credential with an externally supplied one. Also ends a logout, a backoff, and
    /// the wait for a new login.
    pub(super) fn set_credential(self: &Arc<Self>, issued: Issued<C>) {
        let received = self.receive(issued);
        self.update(|state, env| state.set_credential(received, env));
    }

    /// Allows refreshes again, after a logout or after the provider asked for a new login.
    pub(super) fn resume(self: &Arc<Self>) {
        self.update(|state, _| state.resume());
    }

    /// Logs out. See [`Handle::log_out`](super::Handle::log_out).
    pub(super) async fn log_out(self: &Arc<Self>) -> Result<(), Error> {
        let (last, refresh) = self.transition(
            |state, _| state.log_out(),
            |last, refresh| (last, refresh.cloned()),
        );
        let mut credentials: Vec<_> = last.iter().map(|last| last.credential.clone()).collect();
        let runtime =
            runtime::Handle::try_current().map_err(|_| Error::new(ErrorKind::NoRuntime))?;
        let (provider, time) = (Arc::clone(&self.provider), self.refresh_timeout);
        // Runs in a separate task, so that the tokens are revoked even if the caller is dropped.
        let task = runtime.spawn(async move {
            if let Some(refresh) = refresh {
                credentials.extend(refresh.ended().await);
            }
            timeout(time, provider.revoke(RevokeContext::new(credentials)))
                .await
                .unwrap_or_else(|_| Err(revoke_timed_out()))
        });
        match task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::revoke(error)),
            Err(_) => Err(Error::new(ErrorKind::Aborted)),
        }
    }

    /// Returns whether this cache can be dropped and later re-created without losing anything.
    #[cfg(feature = "per-key")]
    pub(super) fn is_disposable(&self) -> bool {
        self.provider.is_restorable() && self.read(|state, _| state.is_disposable())
    }

    pub(super) fn status(self: &Arc<Self>) -> Status {
        self.transition(
            |state, env| (state.status(env.now), Effects::none()),
            |status, _| status,
        )
    }
}

/// Returns the error for a provider that was too slow to revoke credentials at logout.
pub(super) fn revoke_timed_out() -> ProviderError {
    ProviderError::transient("the provider did not respond within the refresh timeout")
}
