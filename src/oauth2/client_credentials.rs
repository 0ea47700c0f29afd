//! The client credentials grant (RFC 6749 4.4): a machine gets a token for itself.

use std::{fmt, sync::Arc};

use super::{
    answer::TokenAnswer,
    builder::{Builder, StandardGrant},
    endpoint::TokenEndpoint,
    error::TokenError,
    form::Form,
    login_required::LoginRequired,
    scopes::Scopes,
    session::{Grant, Session},
};
use crate::{
    challenge::StepUp,
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, Reason, RefreshContext, RevokeContext},
    store::{StoreError, TokenSet},
};

/// A provider that gets bearer tokens with the client credentials grant (RFC 6749 4.4).
///
/// The [module's example](super) shows one. Its errors are made from [`TokenError`].
///
/// A token lasts as long as the server says (`expires_in`; more than ten years are taken for ten).
/// If the server does not say, it lasts until it is rejected, or for the layer's
/// [`default_lifetime`](crate::RefreshSettings::default_lifetime).
///
/// With a [store](Builder::store) many processes share one token, as they must where the server
/// revokes a client's previous token when it issues the next.
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct ClientCredentials {
    session: Arc<Session<ClientGrant>>,
}

struct ClientGrant {
    endpoint: TokenEndpoint,
    /// Without scopes.
    form: Form,
    scopes: Scopes,
}

impl ClientCredentials {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The
    /// client's id and secret (or another proof of who it is) and the HTTP service are required.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Why the newest token is not in the store yet; `None` if it is. The save is tried again.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }
}

impl StandardGrant for ClientCredentials {}

impl Builder<ClientCredentials> {
    /// Scopes that are asked for only once an API wants them (`insufficient_scope`, RFC 6750 3.1),
    /// besides those of earlier calls: the request that was refused is sent again with a token that
    /// has them, and later tokens have them too. Default: none.
    ///
    /// They bound what an API can make the client ask for; scopes that are not named here or in
    /// [`scopes`](Self::scopes) are never asked for.
    pub fn step_up_scopes(mut self, scopes: impl IntoIterator<Item: Into<String>>) -> Self {
        let scopes = scopes.into_iter().map(Into::into);
        self.step_up_scopes.extend(scopes);
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<ClientCredentials, ConfigError> {
        self.refuse_dpop()?;
        self.make()
    }

    /// Whether its tokens are bound to a key or not.
    pub(super) fn make(mut self) -> Result<ClientCredentials, ConfigError> {
        self.require_client_proof()?;
        let optional = std::mem::take(&mut self.step_up_scopes);
        let settings = self.finish(&[])?;
        let grant = ClientGrant {
            form: settings.form("client_credentials", None),
            endpoint: settings.endpoint,
            scopes: Scopes::new(settings.scopes, optional),
        };
        Ok(ClientCredentials {
            session: Session::new(grant, settings.parts),
        })
    }
}

impl ClientGrant {
    async fn ask(&self, context: &RefreshContext<Bearer>) -> Result<TokenAnswer, TokenError> {
        let wanted = match context.reason() {
            Reason::StepUp => StepUp::from_challenges(context.challenges()),
            _ => None,
        };
        let added = self.scopes.with(wanted.as_ref());
        let scope = self.scopes.parameter(&added);
        let mut form = self.form.clone();
        if let Some(scope) = &scope {
            form.push("scope", scope);
        }
        let mut answer = self.endpoint.exchange(&form).await?;
        // Not before: what the server does not grant must not spoil the requests that follow.
        self.scopes.keep(added);
        answer.refresh_token = None;
        answer.scope = answer.scope.or(scope);
        Ok(answer)
    }
}

impl Grant for ClientGrant {
    /// A client has nothing to spend: its next token comes like the first (RFC 6749 4.4.3).
    async fn refresh(
        &self,
        _: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        self.ask(context).await
    }

    fn proves_dead(&self, _: &TokenError) -> bool {
        false
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        Ok(self.ask(context).await?)
    }
}

impl Provider for ClientCredentials {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        self.session.issue(context).await
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        self.session.grant().scopes.can_satisfy(wanted)
    }

    async fn revoke(&self, context: RevokeContext<Bearer>) -> Result<(), ProviderError> {
        self.session.log_out(context).await
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = self.session.grant();
        f.debug_struct("ClientCredentials")
            .field("endpoint", &grant.endpoint)
            .field("scope", &grant.scopes.parameter(&grant.scopes.with(None)))
            .finish_non_exhaustive()
    }
}
