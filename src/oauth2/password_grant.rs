//! The resource owner password credentials grant (RFC 6749 4.3), which nobody should use any more.

use std::{fmt, sync::Arc};

use http::StatusCode;

use super::{
    answer::TokenAnswer,
    builder::{Builder, StandardGrant, required},
    endpoint::TokenEndpoint,
    error::TokenError,
    form::Form,
    login_required::LoginRequired,
    password::Password,
    refresh_token::{is_invalid_grant, with_refresh_token},
    session::{Grant, Session},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::{StoreError, TokenSet},
};

/// A provider for the password grant (RFC 6749 4.3), with refresh tokens where the server gives
/// them. **Discouraged**: it must not be used any more, says RFC 9700 2.4. It shows the user's
/// password to the program, and there is no second factor. Use it only where a server offers
/// nothing else.
///
/// The password is sent when there is no refresh token, when the server refuses the one there is
/// (`invalid_grant`), and when [`set_credentials`](Self::set_credentials) gave a new one; once, in
/// the same call. If it is refused, it is not sent again: the error is made from [`LoginRequired`],
/// and stays until [`set_credentials`](Self::set_credentials) gives others.
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct PasswordGrant {
    session: Arc<Session<OwnerGrant>>,
}

struct OwnerGrant {
    endpoint: TokenEndpoint,
    log_in: Form,
    refresh: Form,
    scope: Option<String>,
    password: Password,
}

impl PasswordGrant {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The
    /// credentials and the HTTP service are required; a client without a secret sends its id only,
    /// one without an id neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Gives other credentials. The next refresh is a log-in with them. If the layer waits for a
    /// new log-in, call [`Handle::resume`](crate::Handle::resume) then.
    ///
    /// With a store the user must stay the same, because the store's key names it.
    pub fn set_credentials(&self, user: impl Into<String>, password: impl Into<String>) {
        self.session.grant().password.replace(user, password);
    }

    /// Why the newest tokens are not in the store yet; `None` if they are. The save is tried again.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }
}

impl StandardGrant for PasswordGrant {}

impl Builder<PasswordGrant> {
    /// The user's name and password. Required.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.password = Some(Password::new(user, password));
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<PasswordGrant, ConfigError> {
        self.refuse_dpop()?;
        self.make()
    }

    /// Whether its tokens are bound to a key or not.
    pub(super) fn make(mut self) -> Result<PasswordGrant, ConfigError> {
        let password = required("credentials", self.password.take())?;
        let settings = self.finish(&["username", "password", "refresh_token"])?;
        let scope = settings.scope();
        let grant = OwnerGrant {
            log_in: settings.form("password", scope.as_deref()),
            refresh: settings.form("refresh_token", None),
            endpoint: settings.endpoint,
            scope,
            password,
        };
        Ok(PasswordGrant {
            session: Session::new(grant, settings.parts),
        })
    }
}

impl Grant for OwnerGrant {
    fn must_log_in(&self) -> bool {
        self.password.must_log_in()
    }

    async fn refresh(
        &self,
        tokens: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        let form = with_refresh_token(&self.refresh, tokens);
        self.endpoint.exchange_once(&form, context).await
    }

    fn proves_dead(&self, error: &TokenError) -> bool {
        is_invalid_grant(error)
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        let mut form = self.log_in.clone();
        let sent = self.password.put_into(&mut form)?;
        match self.endpoint.exchange_once(&form, context).await {
            Ok(mut answer) => {
                self.password.accepted(sent);
                answer.scope = answer.scope.or_else(|| self.scope.clone());
                Ok(answer)
            }
            Err(error) if is_refused(&error) => Err(self.password.rejected(sent, error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the answer can be about the credentials. Servers say so in many ways; it is not about
/// them if it names something else.
fn is_refused(error: &TokenError) -> bool {
    let names_something_else = matches!(
        error.code(),
        Some(
            "invalid_client"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "invalid_target"
        )
    );
    !names_something_else
        && matches!(
            error.status(),
            Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        )
}

impl Provider for PasswordGrant {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        self.session.issue(context).await
    }

    fn is_restorable(&self) -> bool {
        self.session.is_stored()
    }

    async fn revoke(&self, context: RevokeContext<Bearer>) -> Result<(), ProviderError> {
        self.session.log_out(context).await
    }
}

impl fmt::Debug for PasswordGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordGrant")
            .field("endpoint", &self.session.grant().endpoint)
            .finish_non_exhaustive()
    }
}
