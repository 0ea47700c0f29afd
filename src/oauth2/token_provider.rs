//! The provider for all grants.

use std::sync::Arc;

use super::{
    endpoint::TokenEndpoint,
    grant::{AccessToken, Grant},
    session::{Session, SessionSettings},
};
use crate::{
    challenge::StepUp,
    credential::Bearer,
    error::ProviderError,
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::StoreError,
};

/// A provider that gets access tokens with the grant `G`.
///
/// Use a [`Builder`](super::Builder) to create one. `C` is the form in which requests carry the
/// tokens: [`Bearer`], or `DpopToken` after `Builder::dpop` (feature `dpop`).
///
/// ```
/// use tower_auth::{
///     AuthLayer,
///     oauth2::{RefreshTokenGrant, TokenProvider},
/// };
///
/// struct Session {
///     provider: TokenProvider<RefreshTokenGrant>,
///     layer: AuthLayer<TokenProvider<RefreshTokenGrant>>,
/// }
/// # let _ = |session: Session| (session.provider, session.layer);
/// ```
///
/// Clones are cheap and share all state.
pub struct TokenProvider<G, C: AccessToken = Bearer> {
    session: Arc<Session<G>>,
    binding: C::Binding,
}

impl<G: Grant, C: AccessToken> TokenProvider<G, C> {
    pub(super) fn new(
        grant: G,
        revocation: Option<TokenEndpoint>,
        settings: SessionSettings,
        binding: C::Binding,
    ) -> Self {
        Self {
            session: Session::new(grant, revocation, settings),
            binding,
        }
    }

    /// Returns why the newest tokens are not in the store yet, or `None` if they are. The provider
    /// retries the save until it succeeds.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }

    pub(super) fn session(&self) -> &Arc<Session<G>> {
        &self.session
    }
}

impl<G: Grant, C: AccessToken> Provider for TokenProvider<G, C> {
    type Credential = C;

    async fn issue(&self, context: RefreshContext<C>) -> Result<Issued<C>, ProviderError> {
        let issued = self.session.issue(context.map(C::into_bearer)).await?;
        issued
            .try_map(|token| C::bind(token, &self.binding))
            .map_err(ProviderError::permanent)
    }

    fn is_restorable(&self) -> bool {
        self.session.is_stored() || !self.session.grant().depends_on_tokens()
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        self.session.grant().can_step_up(wanted)
    }

    async fn revoke(&self, context: RevokeContext<C>) -> Result<(), ProviderError> {
        self.session.log_out(context.map(C::into_bearer)).await
    }
}

impl<G, C: AccessToken> Clone for TokenProvider<G, C> {
    fn clone(&self) -> Self {
        Self {
            session: Arc::clone(&self.session),
            binding: self.binding.clone(),
        }
    }
}

partial_debug!(TokenProvider<G: Grant, C: AccessToken>, grant = session.grant());
