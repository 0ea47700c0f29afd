//! How tokens are refreshed under a store: the one place where all grants, with a store or without
//! one, decide whether to ask the server at all, and what to do with its answer.

mod lock;
mod log_out;
mod saving;

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

use self::{
    lock::{Lock, Pacing},
    saving::Trouble,
};
use super::{
    answer::TokenAnswer, endpoint::TokenEndpoint, error::TokenError, login_required::LoginRequired,
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    provider::{Issued, Reason, RefreshContext},
    store::{
        Intent, MemoryStore, Revision, SharedStore, StoreError, StoreKey, Stored, TokenSet, share,
    },
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
}

/// Tokens to be used now.
struct Fresh {
    tokens: TokenSet,
    /// How long they last from `since` on; `None` is unknown.
    left: Option<Duration>,
    since: Instant,
}

/// What has to happen before the server is asked.
enum Turn {
    Adopted(Fresh),
    /// The lock is ours, and this is what it protects.
    Locked(Stored),
}

enum Spent {
    Fresh(Fresh),
    Dead(LoginRequired),
}

/// When the server was asked.
#[derive(Clone, Copy)]
struct Asked {
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
        let mut refused = None;
        let mut revision = stored.revision;
        if !self.grant.must_log_in() {
            let orphan = stored.intent.filter(|intent| intent.revision == revision);
            let refreshable = |tokens: &TokenSet| tokens.expose_refresh_token().is_some();

            if let Some(tokens) = stored.tokens.filter(refreshable) {
                let spent = self.spend(state, context, revision, &tokens, orphan.clone());
                match spent.await? {
                    Spent::Fresh(fresh) => return Ok(fresh),
                    Spent::Dead(error) => {
                        refused = Some(error);
                        // It is never sent again, by nobody. If the store fails, whoever comes
                        // next has to learn it anew.
                        let rest = tokens.without_refresh_token();
                        match self.write(state, revision, rest).await {
                            Ok(Some(written)) => revision = written,
                            Ok(None) => return Err(self.overtaken().into()),
                            Err(_) => {}
                        }
                    }
                }
            }
            if let Some(seed) = state.seed.clone() {
                if let Some(fresh) = self.adopt_seed(state, context, revision, &seed).await? {
                    return Ok(fresh);
                }
                if refreshable(&seed) {
                    let spent = self.spend(state, context, revision, &seed, orphan);
                    match spent.await? {
                        Spent::Fresh(fresh) => return Ok(fresh),
                        Spent::Dead(error) => refused = Some(error),
                    }
                }
                state.seed = None;
            }
        }
        let asked = self.ask(state, context)?;
        let answer = self.grant.log_in(refused, context).await?;
        state.rotated = false;
        let tokens = tokens(answer, None, asked);
        self.keep(state, revision, tokens, asked).await
    }

    /// Looks for newer tokens until there are some or the lock is ours.
    async fn adopt_or_lock(
        &self,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<Turn, ProviderError> {
        self.renew(state, context.deadline()).await?;
        let mut pacing = Pacing::until(context.deadline());
        loop {
            let stored = self.store.load(&self.key).await?;
            if !self.grant.must_log_in() {
                notice_log_out(state, &stored)?;
                if let Some(fresh) = adopt(state, &stored, context) {
                    return Ok(Turn::Adopted(fresh));
                }
            }
            if state.lock.is_some() {
                let stored = self.restore(state, stored).await?;
                return Ok(Turn::Locked(stored));
            }
            if let Some(left) = self.try_lock(state, context.deadline()).await? {
                pacing.wait(left).await.map_err(|left| self.busy(left))?;
            }
        }
    }

    /// Uses an access token that the user had at hand, as if another process had fetched it.
    async fn adopt_seed(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
        revision: Revision,
        seed: &TokenSet,
    ) -> Result<Option<Fresh>, ProviderError> {
        let stored = Stored {
            revision,
            tokens: Some(seed.clone()),
            intent: None,
        };
        let known = state.known.take();
        let fresh = adopt(state, &stored, context);
        state.known = known;
        let Some(fresh) = fresh else {
            return Ok(None);
        };
        let written = self.write(state, revision, seed.clone()).await?;
        written.ok_or_else(|| self.overtaken())?;
        state.seed = None;
        Ok(Some(fresh))
    }

    /// Spends a refresh token that is stored under this revision, or is about to be.
    async fn spend(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
        revision: Revision,
        held: &TokenSet,
        orphan: Option<Intent>,
    ) -> Result<Spent, ProviderError> {
        self.grant.check(held)?;
        let intent = Intent {
            revision,
            holder: self.holder.clone(),
        };
        self.set_intent(state, Some(intent)).await?;
        let asked = self.ask(state, context)?;
        match self.grant.refresh(held, context).await {
            Ok(answer) => {
                let tokens = tokens(answer, Some(held), asked);
                state.rotated = tokens.expose_refresh_token() != held.expose_refresh_token();
                let fresh = self.keep(state, revision, tokens, asked).await?;
                state.seed = None;
                Ok(Spent::Fresh(fresh))
            }
            Err(error) if self.grant.proves_dead(&error) => {
                let rotated = std::mem::take(&mut state.rotated);
                Ok(Spent::Dead(LoginRequired::refused(error, orphan, rotated)))
            }
            Err(error) => {
                // Of other failures it is not known whether the server has spent the token.
                if error.is_refusal() && orphan.is_none() {
                    self.set_intent(state, None).await?;
                }
                Err(error.into())
            }
        }
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
    fn now() -> Self {
        Self {
            at: Instant::now(),
            by_clock: SystemTime::now(),
        }
    }
}

/// The tokens of an answer, and of those that it replaces what it leaves unsaid (RFC 6749 6).
fn tokens(answer: TokenAnswer, replaced: Option<&TokenSet>, asked: Asked) -> TokenSet {
    let mut tokens = TokenSet::new(answer.token.expose());
    let refresh_token = match &answer.refresh_token {
        Some(token) => Some(token.expose()),
        None => replaced.and_then(TokenSet::expose_refresh_token),
    };
    if let Some(token) = refresh_token {
        tokens = tokens.with_refresh_token(token);
    }
    if let Some(lifetime) = answer.expires_in {
        tokens = tokens.with_lifetime(lifetime);
        if let Some(moment) = asked.by_clock.checked_add(lifetime) {
            tokens = tokens.with_expires_at(moment);
        }
    }
    let scope = answer.scope.as_deref();
    match scope.or_else(|| replaced.and_then(TokenSet::scope)) {
        Some(scope) => tokens.with_scope(scope),
        None => tokens,
    }
}

/// Takes over stored tokens that this process does not know, if they help.
fn adopt(state: &mut State, stored: &Stored, context: &RefreshContext<Bearer>) -> Option<Fresh> {
    let tokens = stored.tokens.clone()?;
    // A token that can't be used is none.
    let access_token = Bearer::new(tokens.expose_access_token()?).ok()?;
    let reason = context.reason();
    let left = tokens.left(SystemTime::now());
    let is_over = left.is_some_and(|left| left.is_zero());
    let helps = match &state.known {
        Some(known) if reason != Reason::First => stored.revision > known.revision,
        // There is nothing that they could be newer than.
        _ => !is_over,
    };
    let previous = context.previous().map(Bearer::expose);
    let is_same = previous == Some(access_token.expose());
    if !helps || (is_same && !matches!(reason, Reason::First | Reason::Early)) {
        return None;
    }
    state.rotated = tokens.expose_refresh_token().is_some()
        && state.known.as_ref().is_some_and(|known| {
            let known = known.tokens.as_ref();
            known.and_then(TokenSet::expose_refresh_token) != tokens.expose_refresh_token()
        });
    state.known = Some(Known {
        revision: stored.revision,
        tokens: Some(tokens.clone()),
    });
    Some(Fresh {
        // New tokens that seem over come from a machine whose clock differs.
        left: if is_over { tokens.lifetime() } else { left },
        tokens,
        since: Instant::now(),
    })
}

/// Another process has logged out since this one looked last.
fn notice_log_out(state: &mut State, stored: &Stored) -> Result<(), ProviderError> {
    let Some(known) = &mut state.known else {
        return Ok(());
    };
    if known.tokens.is_none() || stored.tokens.is_some() || stored.revision <= known.revision {
        return Ok(());
    }
    known.revision = stored.revision;
    known.tokens = None;
    state.seed = None;
    Err(ProviderError::login_required(LoginRequired::logged_out()))
}
