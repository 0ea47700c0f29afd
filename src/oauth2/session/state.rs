//! The state of a session, without I/O.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::lock::LockGuard;
use crate::{
    credential::Bearer,
    oauth2::response::TokenResponse,
    provider::{Reason, RefreshContext},
    store::{Revision, Stored, TokenSet},
};

#[derive(Default)]
pub(super) struct State {
    /// The guard of the lock. It is kept if a refresh is interrupted, because the server may still
    /// be processing it, or if a save failed.
    pub(super) lock: Option<LockGuard>,
    pub(super) tokens: Tokens,
}

#[derive(Default)]
pub(super) struct Tokens {
    /// The tokens that this process uses.
    pub(super) known: Option<Known>,
    /// True if the known tokens are not in the store yet.
    pub(super) unsaved: bool,
    /// The tokens that the user supplied; `None` once they are obsolete.
    pub(super) initial: Option<TokenSet>,
    /// True if the known refresh token replaced an earlier one.
    pub(super) rotated: bool,
}

#[derive(Clone)]
pub(super) struct Known {
    /// The revision under which the store holds or held the tokens.
    pub(super) revision: Revision,
    /// `None` after a logout.
    pub(super) tokens: Option<TokenSet>,
    /// True if the server issued the tokens to this process.
    pub(super) is_own: bool,
}

impl Known {
    /// Creates the state for an entry that is empty after a logout.
    pub(super) fn nothing(revision: Revision) -> Self {
        Self {
            revision,
            tokens: None,
            is_own: false,
        }
    }
}

/// Tokens to use now.
pub(super) struct IssuedTokens {
    pub(super) tokens: TokenSet,
    /// The remaining lifetime at `since`; `None` if it is unknown.
    pub(super) left: Option<Duration>,
    pub(super) since: Instant,
}

/// The time at which a token request was sent.
#[derive(Clone, Copy)]
pub(in crate::oauth2) struct RequestTime {
    pub(super) at: Instant,
    by_clock: SystemTime,
}

impl RequestTime {
    pub(in crate::oauth2) fn now() -> Self {
        Self {
            at: Instant::now(),
            by_clock: SystemTime::now(),
        }
    }
}

impl Tokens {
    /// Adopts stored tokens that are new to this process, if they are usable.
    pub(super) fn adopt(
        &mut self,
        stored: &Stored,
        context: &RefreshContext<Bearer>,
    ) -> Option<IssuedTokens> {
        let known = self.known.as_ref().map(|known| known.revision);
        let issued = usable(known, stored, context)?;
        let refresh_token = issued.tokens.expose_refresh_token();
        self.rotated = refresh_token.is_some()
            && self.known.as_ref().is_some_and(|known| {
                let known = known.tokens.as_ref();
                known.and_then(TokenSet::expose_refresh_token) != refresh_token
            });
        if self.known.is_some() {
            // The session has moved on from the initial tokens.
            self.initial = None;
        }
        self.known = Some(Known {
            revision: stored.revision,
            tokens: Some(issued.tokens.clone()),
            is_own: false,
        });
        Some(issued)
    }
}

/// Returns the tokens of a store entry if their access token can serve as the result of the
/// refresh.
pub(super) fn usable(
    known: Option<Revision>,
    stored: &Stored,
    context: &RefreshContext<Bearer>,
) -> Option<IssuedTokens> {
    let tokens = stored.tokens.clone()?;
    let access_token = Bearer::new(tokens.expose_access_token()?).ok()?;
    let reason = context.reason();
    let left = tokens.left(SystemTime::now());
    let has_expired = left.is_some_and(|left| left.is_zero());
    let helps = match known {
        Some(known) if reason != Reason::Initial => stored.revision > known,
        // Without known tokens, or for the first credential, any token that has not expired helps.
        _ => !has_expired,
    };
    let previous = context.previous().map(Bearer::expose);
    let is_same = previous == Some(access_token.expose());
    if !helps || (is_same && !matches!(reason, Reason::Initial | Reason::Early)) {
        return None;
    }
    Some(IssuedTokens {
        // If new tokens seem to have expired, they come from a machine whose clock differs.
        left: if has_expired { tokens.lifetime() } else { left },
        tokens,
        since: Instant::now(),
    })
}

/// Creates tokens from a response. Values that the response omits are copied from the tokens that
/// it replaces (RFC 6749 section 6).
pub(in crate::oauth2) fn tokens(
    response: TokenResponse,
    replaced: Option<&TokenSet>,
    requested: RequestTime,
) -> TokenSet {
    let mut tokens = TokenSet::new(response.token.expose());
    let refresh_token = match &response.refresh_token {
        Some(token) => Some(token.expose()),
        None => replaced.and_then(TokenSet::expose_refresh_token),
    };
    if let Some(token) = refresh_token {
        tokens = tokens.with_refresh_token(token);
    }
    if let Some(lifetime) = response.expires_in {
        tokens = tokens.with_lifetime(lifetime);
        if let Some(moment) = requested.by_clock.checked_add(lifetime) {
            tokens = tokens.with_expires_at(moment);
        }
    }
    let scope = response.scope.as_deref();
    match scope.or_else(|| replaced.and_then(TokenSet::scope)) {
        Some(scope) => tokens.with_scope(scope),
        None => tokens,
    }
}
