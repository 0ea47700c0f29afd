//! A log-in with user name and password at endpoints of its own.

use std::{fmt, sync::Arc};

use http::StatusCode;

use super::{
    answer::TokenAnswer,
    builder::{Builder, required},
    endpoint::TokenEndpoint,
    error::{Endpoint, TokenError},
    form::Form,
    login_required::LoginRequired,
    password::Password,
    refresh_token::with_refresh_token,
    session::{Grant, Session},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::{StoreError, TokenSet},
};

/// A provider for servers with log-in endpoints of their own, which no OAuth client fits:
///
/// | | request | form |
/// |---|---|---|
/// | log-in | `POST {base}/auth/password` | `username`, `password`, and nothing else |
/// | refresh | `POST {base}/auth/refresh` | `refresh_token`, and nothing else |
///
/// Both answer as a token endpoint does (RFC 6749 5.1), and a new refresh token replaces the old.
///
/// The password is sent when there is no refresh token, when the refresh endpoint answers 401 to
/// the one there is, and when [`set_credentials`](Self::set_credentials) gave a new one; once, in
/// the same call. No other failure of the refresh endpoint has it sent. If the log-in endpoint
/// refuses it (400, 401, 403), it is not sent again, so that no account gets locked: the error is
/// made from [`LoginRequired`], and stays until [`set_credentials`](Self::set_credentials) gives
/// others.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{AuthLayer, Origins, oauth2::PasswordLogin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let provider = PasswordLogin::builder("https://auth.services.example.com")
///     .credentials("alice", "correct horse battery staple")
///     .http(client)
///     .build()?;
/// let production = Origins::only("https://*.services.example.com")?
///     .except(["https://*-stg.services.example.com"])?;
/// let layer = AuthLayer::new(provider.clone(), production);
///
/// // Later, when somebody has changed the password:
/// provider.set_credentials("alice", "staple battery horse correct");
/// layer.handle().resume();
/// # Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct PasswordLogin {
    session: Arc<Session<LoginGrant>>,
}

struct LoginGrant {
    log_in: TokenEndpoint,
    refresh: TokenEndpoint,
    password: Password,
}

impl PasswordLogin {
    /// Starts with what the URLs of both endpoints start with. It must be https, or lead to this
    /// machine. The credentials and the HTTP service are required.
    pub fn builder(base_url: impl Into<String>) -> Builder<Self> {
        Builder::new(base_url)
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

impl Builder<PasswordLogin> {
    /// The user's name and password. Required.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.password = Some(Password::new(user, password));
        self
    }

    /// The tokens of an earlier log-in to start with, if the store has no refresh token. Default:
    /// none.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.seed = Some(tokens);
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(mut self) -> Result<PasswordLogin, ConfigError> {
        let password = required("credentials", self.password.take())?;
        let ([log_in, refresh], parts) = self.finish_below([
            (Endpoint::Password, "/auth/password"),
            (Endpoint::Refresh, "/auth/refresh"),
        ])?;
        let grant = LoginGrant {
            log_in,
            refresh,
            password,
        };
        Ok(PasswordLogin {
            session: Session::new(grant, parts),
        })
    }
}

impl Grant for LoginGrant {
    fn must_log_in(&self) -> bool {
        self.password.must_log_in()
    }

    async fn refresh(
        &self,
        tokens: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        let form = with_refresh_token(&Form::default(), tokens);
        self.refresh.exchange_once(&form, context).await
    }

    fn proves_dead(&self, error: &TokenError) -> bool {
        error.status() == Some(StatusCode::UNAUTHORIZED)
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        let mut form = Form::default();
        let sent = self.password.put_into(&mut form)?;
        match self.log_in.exchange_once(&form, context).await {
            Ok(answer) => {
                self.password.accepted(sent);
                Ok(answer)
            }
            Err(error) if is_refused(&error) => Err(self.password.rejected(sent, error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the log-in endpoint's answer is about the credentials.
fn is_refused(error: &TokenError) -> bool {
    matches!(
        error.status(),
        Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    )
}

impl Provider for PasswordLogin {
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

impl fmt::Debug for PasswordLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordLogin")
            .field("log_in", &self.session.grant().log_in)
            .finish_non_exhaustive()
    }
}
