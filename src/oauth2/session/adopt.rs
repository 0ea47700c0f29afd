//! Tokens that somebody else has fetched already.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{Fresh, Grant, Known, Session, State, lock::Pacing};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::login_required::LoginRequired,
    observe,
    provider::{Reason, RefreshContext},
    store::{Stored, TokenSet},
};

/// What has to happen before the server is asked.
pub(super) enum Turn {
    Adopted(Fresh),
    /// The lock is ours, and this is what it protects.
    Locked(Stored),
}

impl<G: Grant> Session<G> {
    /// Looks for newer tokens until there are some or the lock is ours.
    pub(super) async fn adopt_or_lock(
        &self,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<Turn, ProviderError> {
        self.renew(state, context.deadline()).await?;
        let mut pacing = Pacing::until(context.deadline());
        loop {
            let stored = self.store.load(&self.key).await?;
            if !self.grant.must_log_in() {
                self.notice_log_out(state, &stored).await?;
                let is_first = state.known.is_none();
                if let Some(fresh) = adopt(state, &stored, context) {
                    if !is_first {
                        // What is stored lives on, and the seed is a thing of the past.
                        state.seed = None;
                    }
                    observe::adopted();
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
}

impl<G: Grant> Session<G> {
    /// Another process has logged out since this one looked last. That one may have looked into the
    /// store just before this one saved, so what was issued here is revoked here, too.
    async fn notice_log_out(
        &self,
        state: &mut State,
        stored: &Stored,
    ) -> Result<(), ProviderError> {
        let Some(known) = &mut state.known else {
            return Ok(());
        };
        if known.tokens.is_none() || stored.tokens.is_some() || stored.revision <= known.revision {
            return Ok(());
        }
        known.revision = stored.revision;
        let own = known.tokens.take().filter(|_| known.is_own);
        state.seed = None;
        if let Some(tokens) = own {
            self.revoke(&tokens).await;
        }
        Err(ProviderError::login_required(LoginRequired::logged_out()))
    }
}

/// Takes over stored tokens that this process does not know, if they help.
pub(super) fn adopt(
    state: &mut State,
    stored: &Stored,
    context: &RefreshContext<Bearer>,
) -> Option<Fresh> {
    let tokens = stored.tokens.clone()?;
    // A token that can't be used is none.
    let access_token = Bearer::new(tokens.expose_access_token()?).ok()?;
    let reason = context.reason();
    let left = tokens.left(SystemTime::now());
    let is_over = left.is_some_and(|left| left.is_zero());
    let helps = match &state.known {
        Some(known) if reason != Reason::Initial => stored.revision > known.revision,
        // There is nothing that they could be newer than.
        _ => !is_over,
    };
    let previous = context.previous().map(Bearer::expose);
    let is_same = previous == Some(access_token.expose());
    if !helps || (is_same && !matches!(reason, Reason::Initial | Reason::Early)) {
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
        is_own: false,
    });
    Some(Fresh {
        // New tokens that seem over come from a machine whose clock differs.
        left: if is_over { tokens.lifetime() } else { left },
        tokens,
        since: Instant::now(),
    })
}
