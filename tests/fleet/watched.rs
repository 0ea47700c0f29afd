//! A store that reports its saves and simulates a wrong clock, and a provider that reports when a
//! login is required.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use tower_auth::store::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenSet,
    TokenStore, WriteOutcome,
};
use tower_auth::{
    ProviderError,
    credential::Bearer,
    oauth2::LoginRequired,
    provider::{Issued, Provider, RefreshContext, RevokeContext},
};

use crate::worker::report;

pub(crate) struct WatchedStore<S> {
    pub(crate) inner: S,
    /// The number of seconds by which this process's clock is ahead of the others. The expiry times
    /// that it writes are later by this much, and those that it reads are earlier. The store's own
    /// clock is unaffected: a store server has its own, and all processes on one machine share one.
    pub(crate) clock: i64,
}

impl<S> WatchedStore<S> {
    fn shifted(&self, tokens: TokenSet, direction: i64) -> TokenSet {
        let seconds = self.clock * direction;
        let by = Duration::from_secs(seconds.unsigned_abs());
        let shift = |moment: SystemTime| {
            if seconds < 0 {
                moment - by
            } else {
                moment + by
            }
        };
        match tokens.expires_at() {
            Some(moment) => tokens.with_expires_at(shift(moment)),
            None => tokens,
        }
    }
}

impl<S: TokenStore> TokenStore for WatchedStore<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        let mut stored = self.inner.load(key).await?;
        stored.tokens = stored.tokens.map(|tokens| self.shifted(tokens, -1));
        Ok(stored)
    }

    async fn save(
        &self,
        key: &StoreKey,
        mut save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        let tokens = self.shifted(save.tokens.clone(), 1);
        save.tokens = &tokens;
        let written = self.inner.save(key, save).await?;
        if let (WriteOutcome::Applied, Some(token)) = (written, tokens.expose_refresh_token()) {
            report(format_args!(
                "saved {}",
                token.trim_start_matches("refresh-")
            ));
        }
        Ok(written)
    }

    fn delete(&self, key: &StoreKey) -> impl Future<Output = Result<Revision, StoreError>> + Send {
        self.inner.delete(key)
    }

    fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<LockAttempt, StoreError>> + Send {
        self.inner.try_lock(key, holder, ttl)
    }

    fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        self.inner.renew(key, fence, ttl)
    }

    fn unlock(
        &self,
        key: &StoreKey,
        fence: Fence,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.inner.unlock(key, fence)
    }

    fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        self.inner.set_intent(key, fence, intent)
    }
}

pub(crate) struct WatchedProvider<P>(pub(crate) P);

impl<P: Provider<Credential = Bearer>> Provider for WatchedProvider<P> {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        let issued = self.0.issue(context).await;
        if let Err(error) = &issued
            && let Some(login) = error.get_ref().downcast_ref::<LoginRequired>()
        {
            report(format_args!("log in: {}", why(login)));
        }
        issued
    }

    fn is_restorable(&self) -> bool {
        self.0.is_restorable()
    }

    fn revoke(
        &self,
        context: RevokeContext<Bearer>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send {
        self.0.revoke(context)
    }
}

fn why(login: &LoginRequired) -> &'static str {
    match login {
        login if login.is_outcome_lost() => "outcome lost",
        login if login.is_suspected_reuse() => "suspected reuse",
        login if login.is_refused() => "refused",
        login if login.is_logged_out() => "logged out elsewhere",
        _ => "no refresh token",
    }
}
