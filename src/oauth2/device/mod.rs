//! The device authorization grant (RFC 8628): a login for devices without a browser.

mod authorization;
mod polling;

use std::sync::Arc;

pub use self::authorization::DeviceAuthorization;
use self::polling::Polling;
use super::{
    builder::Builder,
    client::Client,
    discovery::ServerMetadata,
    endpoint::{TokenEndpoint, parse_endpoint},
    error::Endpoint,
    form::Form,
    grant::{AccessToken, StandardGrant, TokenEndpointGrant, sealed::Configurable},
    login::LoginError,
    refresh_token::RefreshTokenGrant,
};
use crate::{credential::Bearer, error::ConfigError, store::TokenSet};

/// A login with a device code (RFC 8628), for devices without a browser. The user opens a URL on
/// another device and enters a short code there.
///
/// | step | what it does |
/// |---|---|
/// | [`start`](Self::start) | requests a code from the server |
/// | [`DeviceAuthorization`] | contains the URL and the code to show to the user |
/// | [`finish`](Self::finish) | waits until the user has confirmed the code, and returns the tokens |
/// | [`session`](Self::session) | builds the provider that uses these tokens and refreshes them |
///
/// If the user has a browser on the same machine, prefer
/// [`AuthorizationCode`](super::AuthorizationCode), because an attacker can start a device login
/// and trick the user into confirming its code.
///
/// ```
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::DeviceCode};
///
/// # async fn log_in() -> Result<(), BoxError> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let login = DeviceCode::builder(
///     "https://login.example.com/device",
///     "https://login.example.com/token",
/// )
/// .client_id("my-tool") // confidential clients add client_secret(..)
/// .scopes(["items:read"])
/// .http(client)
/// .build()?;
///
/// let code = login.start().await?;
/// println!("Open {} and enter {}", code.verification_uri(), code.user_code());
/// let tokens = login.finish(code).await?;
/// let provider = login.session().initial_tokens(tokens).build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct DeviceCode<C: AccessToken = Bearer> {
    flow: Arc<Flow<C>>,
}

struct Flow<C: AccessToken> {
    device: TokenEndpoint,
    /// The parameters of the device authorization request.
    request: Form,
    client: Client,
    session: Builder<RefreshTokenGrant, C>,
    plain_http: bool,
}

impl DeviceCode {
    /// Creates a builder with the URLs of the device authorization endpoint and the token endpoint.
    /// Both must be https, or http to this machine. The client ID and the HTTP service are
    /// required. A client without a secret sends only its ID.
    pub fn builder(device_url: impl Into<String>, token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, Some(device_url.into()))
    }
}

impl<C: AccessToken> DeviceCode<C> {
    /// Requests a code from the server.
    ///
    /// # Errors
    /// The device authorization endpoint failed or refused the request: see
    /// [`LoginError::token_error`].
    pub async fn start(&self) -> Result<DeviceAuthorization, LoginError> {
        let flow = &self.flow;
        Ok(DeviceAuthorization::request(&flow.device, &flow.request, flow.plain_http).await?)
    }

    /// Waits until the user has confirmed the code, and returns the tokens.
    ///
    /// This polls the server at the interval that the server requests, by default every 5 s. Each
    /// `slow_down` response adds 5 s to the interval. After a network or server failure, polling
    /// continues with pauses that double each time, up to one minute. A request without a response
    /// within 30 s counts as such a failure. Dropping the future stops the polling.
    ///
    /// # Errors
    /// The user denied the login ([`is_denied`](LoginError::is_denied)) or took too long
    /// ([`is_timeout`](LoginError::is_timeout)), or the server refused the client.
    pub async fn finish(&self, authorization: DeviceAuthorization) -> Result<TokenSet, LoginError> {
        Polling::new(&self.flow.client, authorization).run().await
    }

    /// Returns a builder for the provider that uses and refreshes the tokens of a login. The
    /// builder has the same token endpoint, client and HTTP service as this login. Add
    /// [`initial_tokens`](Builder::initial_tokens), and a [`store`](Builder::store).
    pub fn session(&self) -> Builder<RefreshTokenGrant, C> {
        self.flow.session.for_session()
    }
}

impl StandardGrant for DeviceCode {}
impl TokenEndpointGrant for DeviceCode {}

impl Configurable for DeviceCode {
    /// The URL of the device authorization endpoint.
    type Settings = Option<String>;

    fn described_by(metadata: &ServerMetadata) -> Option<String> {
        metadata.device_authorization_endpoint().map(str::to_owned)
    }
}

impl<C: AccessToken> Builder<DeviceCode, C> {
    /// Builds the login without sending a request.
    ///
    /// # Errors
    /// A required setting is missing, or a value is not valid. The error names the setting and
    /// contains no secret.
    pub fn build(self) -> Result<DeviceCode<C>, ConfigError> {
        self.client.require_id()?;
        let (session, plain_http) = (self.for_session(), self.client.plain_http);
        let device_url = self.client.aliases().device.or(self.grant);
        let client = self.client.build(&["device_code", "refresh_token"])?;
        self.binding?;
        let Some(device_url) = device_url else {
            let problem = "is missing: the server metadata has none, so pass it to builder(..)";
            return Err(ConfigError::new("device_url", problem));
        };
        let uri = parse_endpoint("device_url", &device_url, plain_http)?;
        let device = client.endpoint.sibling(Endpoint::Device, uri);
        let mut request = Form::default();
        client.push_params(&mut request, client.scope().as_deref());
        Ok(DeviceCode {
            flow: Arc::new(Flow {
                device,
                request,
                client,
                session,
                plain_http,
            }),
        })
    }
}

partial_debug!(DeviceCode<C: AccessToken>, device = flow.device, endpoint = flow.client.endpoint);
