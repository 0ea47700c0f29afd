//! Refresh tokens, each sent once.

use std::sync::Arc;

use super::{Asked, Fresh, Grant, Session, State, adopt::adopt};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{answer::TokenAnswer, login_required::LoginRequired},
    provider::RefreshContext,
    store::{Intent, Revision, Stored, TokenSet},
};

/// What is known of the store's entry, while it is locked.
pub(super) struct Entry {
    pub(super) revision: Revision,
    /// Its refresh token was about to be spent by somebody who did not come back.
    orphan: Option<Intent>,
    /// Its refresh token is dead.
    pub(super) refused: Option<LoginRequired>,
}

impl Entry {
    pub(super) fn new(stored: &Stored) -> Self {
        let intent = stored.intent.clone();
        Self {
            revision: stored.revision,
            orphan: intent.filter(|intent| intent.revision == stored.revision),
            refused: None,
        }
    }
}

impl<G: Grant> Session<G> {
    /// Spends the refresh token that is stored, if there is one.
    pub(super) async fn spend_stored(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
        entry: &mut Entry,
        stored: Option<TokenSet>,
    ) -> Result<Option<Fresh>, ProviderError> {
        let Some(tokens) = stored.filter(is_refreshable) else {
            return Ok(None);
        };
        if let Some(fresh) = self.spend(state, context, entry, &tokens).await? {
            return Ok(Some(fresh));
        }
        if is_same(state.seed.as_ref(), &tokens) {
            state.seed = None;
        }
        // It is never sent again, by nobody. If the store fails, whoever comes next learns it anew.
        let rest = tokens.without_refresh_token();
        match self.write(state, entry.revision, rest).await {
            Ok(Some(written)) => entry.revision = written,
            Ok(None) => return Err(self.overtaken().into()),
            Err(_) => {}
        }
        Ok(None)
    }

    /// Uses what the user had at hand at the start, if there is something.
    pub(super) async fn spend_seed(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
        entry: &mut Entry,
    ) -> Result<Option<Fresh>, ProviderError> {
        let Some(seed) = state.seed.clone() else {
            return Ok(None);
        };
        let mut fresh = self
            .adopt_seed(state, context, entry.revision, &seed)
            .await?;
        if fresh.is_none() && is_refreshable(&seed) {
            fresh = self.spend(state, context, entry, &seed).await?;
            if fresh.is_none() {
                let _ = self.set_intent(state, None).await;
            }
        }
        state.seed = None;
        Ok(fresh)
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
        Ok(Some(fresh))
    }

    /// Spends a refresh token that belongs to the entry. `None` means that it is dead.
    async fn spend(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
        entry: &mut Entry,
        held: &TokenSet,
    ) -> Result<Option<Fresh>, ProviderError> {
        self.grant.check(held)?;
        let orphan = entry.orphan.take();
        let intent = Intent {
            revision: entry.revision,
            holder: self.holder.clone(),
        };
        self.set_intent(state, Some(intent)).await?;
        let asked = self.ask(state, context)?;
        match self.grant.refresh(held, context).await {
            Ok(answer) => {
                let tokens = tokens(answer, Some(held), asked);
                state.rotated = tokens.expose_refresh_token() != held.expose_refresh_token();
                let fresh = self.keep(state, entry.revision, tokens, asked).await?;
                state.seed = None;
                Ok(Some(fresh))
            }
            Err(error) if self.grant.proves_dead(&error) => {
                let rotated = std::mem::take(&mut state.rotated);
                entry.refused = Some(LoginRequired::refused(error, orphan, rotated));
                Ok(None)
            }
            Err(error) => {
                // Of other failures it is not known whether the server has spent the token.
                if error.is_without_effect() && orphan.is_none() {
                    let _ = self.set_intent(state, None).await;
                }
                Err(error.into())
            }
        }
    }
}

fn is_refreshable(tokens: &TokenSet) -> bool {
    tokens.expose_refresh_token().is_some()
}

fn is_same(seed: Option<&TokenSet>, tokens: &TokenSet) -> bool {
    seed.and_then(TokenSet::expose_refresh_token) == tokens.expose_refresh_token()
}

/// The tokens of an answer, and of those that it replaces what it leaves unsaid (RFC 6749 6).
pub(in super::super) fn tokens(
    answer: TokenAnswer,
    replaced: Option<&TokenSet>,
    asked: Asked,
) -> TokenSet {
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
