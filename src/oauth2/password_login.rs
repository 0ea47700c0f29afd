//! Logins with a user name and password at endpoints that are not OAuth endpoints.

use http::StatusCode;

use super::{
    builder::Builder,
    client::{ClientSettings, required},
    client_auth::ClientAuth,
    endpoint::{TokenEndpoint, parse_endpoint},
    error::{Endpoint, TokenError},
    form::Form,
    grant::sealed,
    login_required::LoginRequired,
    password::{Password, PasswordFlow, is_client_refusal},
    refresh_request::RefreshRequest,
    response::TokenResponse,
    token_provider::TokenProvider,
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::RefreshContext,
    store::TokenSet,
};

/// A login with a user name and password, for servers that have two custom endpoints instead of
/// OAuth endpoints:
///
/// | | request | form parameters |
/// |---|---|---|
/// | login | `POST {login_url}` | only `username` and `password` |
/// | refresh | `POST {refresh_url}` | only `refresh_token` |
///
/// Both respond like a token endpoint (RFC 6749 section 5.1), and a new refresh token replaces the
/// old one.
///
/// The password is sent if there is no refresh token, if the refresh endpoint responds with 401, or
/// after [`set_credentials`](TokenProvider::set_credentials). After a 401, the same refresh sends
/// the password, and only once. After any other failure of the refresh endpoint, the password is
/// not sent. If the login endpoint refuses the password (400, 401, 403), it is not sent again, so
/// that the server does not lock the account: the error is a [`LoginRequired`] until
/// [`set_credentials`](TokenProvider::set_credentials) supplies new credentials.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, oauth2::PasswordLogin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let provider = PasswordLogin::builder(
///     "https://auth.services.example.com/login",
///     "https://auth.services.example.com/refresh",
/// )
/// .credentials("alice", "correct horse battery staple")
/// .http(client)
/// .build()?;
/// let production = Origins::only("https://*.services.example.com")?
///     .except(["https://*-stg.services.example.com"])?;
/// let layer = AuthLayer::new(provider.clone(), production);
///
/// // Later, after the password was changed:
/// provider.set_credentials("alice", "staple battery horse correct");
/// layer.handle().resume();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PasswordLogin(PasswordFlow);

/// The settings that are specific to this login.
#[expect(unnameable_types, reason = "used only inside a builder")]
#[derive(Debug, Default)]
pub struct PasswordLoginSettings {
    login_url: String,
    password: Option<Password>,
}

impl PasswordLogin {
    /// Creates a builder from the URLs of the two endpoints, which must be https or on this
    /// machine. The credentials and the HTTP service are required.
    pub fn builder(login_url: impl Into<String>, refresh_url: impl Into<String>) -> Builder<Self> {
        let settings = PasswordLoginSettings {
            login_url: login_url.into(),
            password: None,
        };
        Builder::new(refresh_url, settings)
    }
}

impl TokenProvider<PasswordLogin> {
    /// Replaces the credentials. The next refresh logs in with the new ones. If the layer is
    /// waiting for a new login, also call [`Handle::resume`](crate::Handle::resume).
    ///
    /// With a store, the user must remain the same, because the store's key identifies the user.
    pub fn set_credentials(&self, user: impl Into<String>, password: impl Into<String>) {
        self.session().grant().0.password.replace(user, password);
    }
}

impl Builder<PasswordLogin> {
    /// Sets the user name and password. Required.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.grant.password = Some(Password::new(user, password));
        self
    }

    /// Sets the tokens of an earlier login, to use if the store has no refresh token. Default:
    /// none.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.session.initial = Some(tokens);
        self
    }
}

impl sealed::Configurable for PasswordLogin {
    type Settings = PasswordLoginSettings;
}

impl sealed::Grant for PasswordLogin {
    fn build(
        client: ClientSettings,
        settings: PasswordLoginSettings,
    ) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        let login = parse_endpoint("login_url", &settings.login_url, false)?;
        let refresh = parse_endpoint("refresh_url", &client.token_url, false)?;
        let password = required("credentials", settings.password)?;
        let http = required("http", client.http)?;
        let auth = ClientAuth::None.into();
        let refresh = TokenEndpoint::new(Endpoint::Refresh, refresh, auth, http);
        let flow = PasswordFlow {
            login: refresh.sibling(Endpoint::Password, login),
            form: Form::default(),
            scope: None,
            is_refused: is_client_refusal,
            refresh: RefreshRequest {
                endpoint: refresh,
                form: Form::default(),
                scopes: Vec::new(),
                proves_dead: is_unauthorized,
            },
            password,
        };
        Ok((Self(flow), None))
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

/// Returns whether an error proves the refresh token dead: at this refresh endpoint, a 401 does
/// (rule 8).
fn is_unauthorized(error: &TokenError) -> bool {
    error.status() == Some(StatusCode::UNAUTHORIZED)
}
