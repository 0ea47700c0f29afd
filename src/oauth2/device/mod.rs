//! The device authorization grant (RFC 8628): a log-in for machines without a browser.

mod attempt;
mod polling;

use std::{fmt, sync::Arc};

pub use self::attempt::DeviceAuthorization;
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

/// A log-in with a device code (RFC 8628), for people at machines that have no browser, or none of
/// theirs: the person opens an address anywhere else, and enters a short code there.
///
/// | step | |
/// |---|---|
/// | [`start`](Self::start) | asks the server for a code |
/// | [`DeviceAuthorization`] | says what to show to the person |
/// | [`finish`](Self::finish) | waits until the person has confirmed it, and gives the tokens |
/// | [`session`](Self::session) | makes the provider that lives on these tokens, and refreshes them |
///
/// Where the person has a browser at hand on the same machine,
/// [`AuthorizationCode`](super::AuthorizationCode) is the better way: nobody can be talked into
/// entering a code that somebody else has started.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::DeviceCode};
///
/// # async fn log_in() -> Result<(), BoxError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let login = DeviceCode::builder(
///     "https://login.example.com/device",
///     "https://login.example.com/token",
/// )
/// .client_id("my-tool") // a public client; others add client_secret(..)
/// .scopes(["items:read"])
/// .http(client)
/// .build()?;
///
/// let attempt = login.start().await?;
/// println!("Open {} and enter {}", attempt.verification_uri(), attempt.user_code());
/// let tokens = login.finish(attempt).await?;
/// let provider = login.session().initial_tokens(tokens).build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
pub struct DeviceCode<C: AccessToken = Bearer> {
    flow: Arc<Flow<C>>,
}

struct Flow<C: AccessToken> {
    device: TokenEndpoint,
    /// What the device endpoint is asked.
    request: Form,
    client: Client,
    session: Builder<RefreshTokenGrant, C>,
    plain_http: bool,
}

impl DeviceCode {
    /// Starts with the URLs of the device authorization endpoint and of the token endpoint. They
    /// must be https, or lead to this machine. The client's id and the HTTP service are required;
    /// a client without a secret sends its id only.
    pub fn builder(device_url: impl Into<String>, token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, Some(device_url.into()))
    }
}

impl<C: AccessToken> DeviceCode<C> {
    /// Asks the server for a code.
    ///
    /// # Errors
    /// See [`LoginError::token_error`]: what the device authorization endpoint answered.
    pub async fn start(&self) -> Result<DeviceAuthorization, LoginError> {
        let flow = &self.flow;
        Ok(DeviceAuthorization::ask(&flow.device, &flow.request, flow.plain_http).await?)
    }

    /// Waits until the person has confirmed the code, and gives the tokens.
    ///
    /// It asks the server as often as that wants it, by default every 5 s, and 5 s later each time
    /// it hears `slow_down`. If the network fails, or the server is in trouble, it goes on, with
    /// pauses that double up to a minute. A request that is not answered within 30 s counts as
    /// such a failure. Dropping the future ends the waiting; nothing is left behind.
    ///
    /// # Errors
    /// The person said no ([`is_denied`](LoginError::is_denied)), or did not come in time
    /// ([`is_timeout`](LoginError::is_timeout)), or the server refuses the client.
    pub async fn finish(&self, attempt: DeviceAuthorization) -> Result<TokenSet, LoginError> {
        Polling::new(&self.flow.client, attempt).run().await
    }

    /// The provider that lives on the tokens of a log-in: a builder with the same token endpoint,
    /// client and HTTP service. Add [`initial_tokens`](Builder::initial_tokens), and a [`store`](Builder::store).
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
    /// Makes the flow. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<DeviceCode<C>, ConfigError> {
        self.client.require_id()?;
        let (session, plain_http) = (self.for_session(), self.client.plain_http);
        let device_url = self.client.aliases().device.or(self.grant);
        let client = self.client.build(&["device_code", "refresh_token"])?;
        self.binding?;
        let Some(device_url) = device_url else {
            let problem = "is missing: the server names none; give it to builder(..)";
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

impl<C: AccessToken> Clone for DeviceCode<C> {
    fn clone(&self) -> Self {
        Self {
            flow: Arc::clone(&self.flow),
        }
    }
}

impl<C: AccessToken> fmt::Debug for DeviceCode<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode")
            .field("device", &self.flow.device)
            .field("endpoint", &self.flow.client.endpoint)
            .finish_non_exhaustive()
    }
}
