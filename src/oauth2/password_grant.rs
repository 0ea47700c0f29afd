//! The resource owner password credentials grant (RFC 6749 section 4.3), which is obsolete.

use super::{
    builder::Builder,
    client::{ClientSettings, required},
    endpoint::TokenEndpoint,
    error::TokenError,
    grant::{AccessToken, StandardGrant, TokenEndpointGrant, sealed},
    login_required::LoginRequired,
    password::{Password, PasswordFlow, is_client_refusal},
    refresh_request::{RefreshRequest, is_invalid_grant},
    response::TokenResponse,
    token_provider::TokenProvider,
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::RefreshContext,
};

/// The password grant (RFC 6749 section 4.3), with refresh tokens if the server issues them.
///
/// **Discouraged**: RFC 9700 section 2.4 forbids this grant. It exposes the user's password to the
/// program, and does not allow a second factor. Use it only if the server offers nothing else.
///
/// The password is sent if there is no refresh token, if the server refuses the refresh token
/// (`invalid_grant`), and after [`set_credentials`](TokenProvider::set_credentials). It is sent
/// within the same refresh, and only once. A refused password is not sent again: the error is a
/// [`LoginRequired`] until [`set_credentials`](TokenProvider::set_credentials) supplies new
/// credentials.
#[derive(Debug)]
pub struct PasswordGrant(PasswordFlow);

impl PasswordGrant {
    /// Creates a builder from the URL of the token endpoint, which must be https or on this
    /// machine. The credentials and the HTTP service are required. A client without a secret sends
    /// only its ID; a client without an ID sends neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, None)
    }
}

impl<C: AccessToken> TokenProvider<PasswordGrant, C> {
    /// Replaces the credentials. The next refresh logs in with the new ones. If the layer is
    /// waiting for a new login, also call [`Handle::resume`](crate::Handle::resume).
    ///
    /// With a store, the user must remain the same, because the store's key identifies the user.
    pub fn set_credentials(&self, user: impl Into<String>, password: impl Into<String>) {
        self.session().grant().0.password.replace(user, password);
    }
}

impl<C: AccessToken> Builder<PasswordGrant, C> {
    /// Sets the user name and password. Required.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.grant = Some(Password::new(user, password));
        self
    }
}

impl StandardGrant for PasswordGrant {}
impl TokenEndpointGrant for PasswordGrant {}

impl sealed::Configurable for PasswordGrant {
    type Settings = Option<Password>;
}

impl sealed::Grant for PasswordGrant {
    fn build(
        client: ClientSettings,
        password: Option<Password>,
    ) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        let password = required("credentials", password)?;
        let client = client.build(&["username", "password", "refresh_token"])?;
        let scope = client.scope();
        let flow = PasswordFlow {
            login: client.endpoint.clone(),
            form: client.form("password", scope.as_deref()),
            scope,
            is_refused,
            refresh: RefreshRequest {
                form: client.form("refresh_token", None),
                endpoint: client.endpoint,
                scopes: Vec::new(),
                proves_dead: is_invalid_grant,
            },
            password,
        };
        Ok((Self(flow), client.revocation))
    }

    fn refresh(&self) -> Option<&RefreshRequest> {
        Some(&self.0.refresh)
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        self.0.log_in(context).await
    }

    fn must_log_in(&self) -> bool {
        self.0.password.must_log_in()
    }
}

/// Returns whether an error can mean that the user name or password was refused. Servers use many
/// codes for that, so this excludes only the codes that mean something else.
fn is_refused(error: &TokenError) -> bool {
    let is_unrelated = matches!(
        error.code(),
        Some(
            "invalid_client"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "invalid_target"
        )
    );
    !is_unrelated && is_client_refusal(error)
}
