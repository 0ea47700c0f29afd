//! How tokens are refreshed under a store: the one place where all grants, with a store or without
//! one, decide whether to ask the server at all, and what to do with its answer.

mod adopt;
mod lock;
mod log_out;
mod saving;
mod spend;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::HeaderName;
use tokio::{sync::Mutex, time::Instant};

pub(super) use self::spend::tokens;
use self::{adopt::Turn, lock::Lock, saving::Trouble, spend::Entry};
use super::{
    answer::TokenAnswer, endpoint::TokenEndpoint, error::TokenError, login_required::LoginRequired,
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    provider::{Issued, RefreshContext},
    store::{MemoryStore, Revision, SharedStore, StoreError, StoreKey, TokenSet, share},
};

/// One way of getting tokens.
pub(super) trait Grant: Send + Sync + 'static {
    /// Whether these tokens may be refreshed as the settings want it.
    fn check(&self, tokens: &TokenSet) -> Result<(), ProviderError> {
        let _ = tokens;
        Ok(())
    }

    /// Spends the refresh token.
    fn refresh(
        &self,
        tokens: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> impl Future<Output = Result<TokenAnswer, TokenError>> + Send;

    /// Whether an error of a refresh proves that its refresh token will never work again.
    fn proves_dead(&self, error: &TokenError) -> bool;

    /// Gets tokens without a refresh token: there is none, or it was refused.
    fn log_in(
        &self,
        refused: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> impl Future<Output = Result<TokenAnswer, ProviderError>> + Send;

    /// Whether the tokens that there are must not be used any more.
    fn must_log_in(&self) -> bool {
        false
    }
}

/// What a session is made of, beside its grant.
pub(super) struct Parts {
    pub(super) header: Option<HeaderName>,
    pub(super) store: Option<(SharedStore, StoreKey)>,
    pub(super) seed: Option<TokenSet>,
    pub(super) revocation: Option<TokenEndpoint>,
}

/// The tokens of one user or client, in this process and in the store.
pub(super) struct Session<G> {
    grant: G,
    header: Option<HeaderName>,
    store: SharedStore,
    key: StoreKey,
    /// Whether the tokens outlive this session.
    is_stored: bool,
    /// What people read who look for whoever holds the lock.
    holder: String,
    revocation: Option<TokenEndpoint>,
    /// Held during each refresh, also while its answer is awaited.
    state: Mutex<State>,
    trouble: Trouble,
    /// The store must be emptied before anything else.
    delete_due: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What this process uses, and under which revision the store has or had it.
    known: Option<Known>,
    /// Stays behind if a refresh is cut off: the server may still be at work on it.
    lock: Option<Lock>,
    /// The known tokens are not in the store yet.
    unsaved: bool,
    seed: Option<TokenSet>,
    /// The known refresh token came in exchange for another one.
    rotated: bool,
}

#[derive(Clone)]
struct Known {
    revision: Revision,
    /// `None` after a log-out.
    tokens: Option<TokenSet>,
    /// Whether the server has issued them to this process.
    is_own: bool,
}

/// Tokens to be used now.
struct Fresh {
    tokens: TokenSet,
    /// How long they last from `since` on; `None` is unknown.
    left: Option<Duration>,
    since: Instant,
}

/// When the server was asked.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    at: Instant,
    by_clock: SystemTime,
}

impl<G: Grant> Session<G> {
    pub(super) fn new(grant: G, parts: Parts) -> Arc<Self> {
        let is_stored = parts.store.is_some();
        let private = || (share(MemoryStore::new()), StoreKey::new("private"));
        let (store, key) = parts.store.unwrap_or_else(private);
        Arc::new(Self {
            grant,
            header: parts.header,
            store,
            key,
            is_stored,
            holder: format!("process {} ({:08x})", std::process::id(), fastrand::u32(..)),
            revocation: parts.revocation,
            state: Mutex::new(State {
                seed: parts.seed,
                ..State::default()
            }),
            trouble: Trouble::default(),
            delete_due: AtomicBool::new(false),
        })
    }

    pub(super) fn is_stored(&self) -> bool {
        self.is_stored
    }

    pub(super) fn grant(&self) -> &G {
        &self.grant
    }

    /// The next token: one that another process has fetched, or one from the server.
    pub(super) async fn issue(
        self: &Arc<Self>,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        // A lifetime counts from here for whoever called.
        let begun = Instant::now();
        let mut state = self.state.lock().await;
        let result = self.next(&mut state, &context).await;
        if !state.unsaved {
            self.unlock(&mut state).await;
        }
        drop(state);

        let fresh = result?;
        let issued = Issued::new(self.bearer(&fresh.tokens)?);
        Ok(match fresh.left {
            Some(left) => issued.expires_in(left + (fresh.since - begun)),
            None => issued,
        })
    }

    async fn next(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<Fresh, ProviderError> {
        self.catch_up(state).await?;
        let stored = match self.adopt_or_lock(state, context).await? {
            Turn::Adopted(fresh) => return Ok(fresh),
            Turn::Locked(stored) => stored,
        };
        let mut entry = Entry::new(&stored);
        if !self.grant.must_log_in() {
            let stored = self.spend_stored(state, context, &mut entry, stored.tokens);
            if let Some(fresh) = stored.await? {
                return Ok(fresh);
            }
            if let Some(fresh) = self.spend_seed(state, context, &mut entry).await? {
                return Ok(fresh);
            }
        }
        let asked = self.ask(state, context)?;
        let answer = self.grant.log_in(entry.refused, context).await?;
        state.rotated = false;
        let tokens = tokens(answer, None, asked);
        self.keep(state, entry.revision, tokens, asked).await
    }

    fn overtaken(&self) -> StoreError {
        let error = StoreError::new("another process has taken the lock meanwhile");
        error.of(self.store.name(), "to save the tokens")
    }

    fn bearer(&self, tokens: &TokenSet) -> Result<Bearer, ProviderError> {
        let token = tokens.expose_access_token().unwrap_or_default();
        let token = Bearer::new(token).map_err(ProviderError::permanent)?;
        let token = token.with_scope(tokens.scope().map(Box::from));
        match &self.header {
            Some(name) => token
                .header_name(name.clone())
                .map_err(ProviderError::permanent),
            None => Ok(token),
        }
    }
}

impl Asked {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            by_clock: SystemTime::now(),
        }
    }
}
