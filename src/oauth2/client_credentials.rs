//! The client credentials grant (RFC 6749 4.4): a machine gets a token for itself.

use std::{fmt, sync::Arc};

use super::{
    answer::TokenAnswer,
    builder::{Builder, StandardGrant},
    endpoint::TokenEndpoint,
    error::TokenError,
    form::Form,
    login_required::LoginRequired,
    session::{Grant, Session},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{ForgetContext, Issued, Provider, RefreshContext},
    store::{StoreError, TokenSet},
};

/// A provider that gets bearer tokens with the client credentials grant (RFC 6749 4.4).
///
/// The [module's example](super) shows one. Its errors are made from [`TokenError`].
///
/// A token lasts as long as the server says (`expires_in`; more than ten years are taken for ten).
/// If the server does not say, it lasts until it is rejected, or for the layer's
/// [`default_lifetime`](crate::AuthLayer::default_lifetime).
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
    form: Form,
    scope: Option<String>,
}

impl ClientCredentials {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The
    /// client's id and secret (or another proof of who it is) and the HTTP service are required.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Why the newest token is not in the store yet; `None` if it is. The save is tried again.
    #[must_use]
    pub fn unsaved(&self) -> Option<StoreError> {
        self.session.unsaved()
    }
}

impl StandardGrant for ClientCredentials {}

impl Builder<ClientCredentials> {
    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<ClientCredentials, ConfigError> {
        self.require_client_proof()?;
        let settings = self.finish(&[])?;
        let scope = settings.scope();
        let grant = ClientGrant {
            form: settings.form("client_credentials", scope.as_deref()),
            endpoint: settings.endpoint,
            scope,
        };
        Ok(ClientCredentials {
            session: Session::new(grant, settings.parts),
        })
    }
}

impl ClientGrant {
    async fn ask(&self, context: &RefreshContext<Bearer>) -> Result<TokenAnswer, TokenError> {
        let mut answer = self
            .endpoint
            .exchange(&self.form, |marks| context.mark(marks))
            .await?;
        answer.refresh_token = None;
        answer.scope = answer.scope.or_else(|| self.scope.clone());
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

    async fn forget(&self, context: ForgetContext<Bearer>) -> Result<(), ProviderError> {
        self.session.forget(context).await
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = self.session.grant();
        f.debug_struct("ClientCredentials")
            .field("endpoint", &grant.endpoint)
            .field("scope", &grant.scope)
            .finish_non_exhaustive()
    }
}
