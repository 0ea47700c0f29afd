//! OAuth 2.0: providers that get access tokens from a token endpoint.
//!
//! | if you have | use |
//! |---|---|
//! | a program that acts on its own behalf | [`ClientCredentials`] |
//! | the refresh token of a user who has logged in | [`RefreshTokenGrant`] |
//! | a user with a browser | [`AuthorizationCode`], then [`RefreshTokenGrant`] |
//! | a user whose browser is on another device | [`DeviceCode`], then [`RefreshTokenGrant`] |
//! | a user with a browser, and a server that supports only the implicit flow | `Implicit` (feature `implicit`, discouraged), then [`StoredAccessToken`] |
//! | a token from or for another server | [`TokenExchange`] |
//! | an assertion from an issuer that the server trusts | [`JwtBearer`] |
//! | a user's password, for a server with separate login and refresh endpoints | [`PasswordLogin`] |
//! | a user's password, for a server that supports nothing better | [`PasswordGrant`] (discouraged) |
//! | a token that never changes | [`Bearer`](crate::credential::Bearer) |
//!
//! A [`Builder`] builds a [`TokenProvider`] for the grant.
//!
//! A refresh token can often be used only once. If it is used a second time, the server revokes all
//! tokens of the session. Within a program, all callers share one refresh. If the program may be
//! restarted or runs more than once, give the provider a [store](crate::store).
//!
//! Token requests go through a service that you supply: any tower-compatible HTTP client, with your
//! own timeout and retry layers. The layer decides when a token is requested, shares one request
//! among all callers, and handles failures.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::ServiceBuilder;
//! use tower_auth::{AuthLayer, Origins, oauth2::ClientCredentials};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Use a connector with TLS, such as the one from `hyper-rustls`, for https.
//! let client = || Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//!
//! let provider = ClientCredentials::builder("http://localhost:8080/oauth/v2/token")
//!     .client_id("my-service")
//!     .client_secret("correct horse battery staple")
//!     .scopes(["items:read"])
//!     .http(client()) // with a separate connection pool
//!     .build()?;
//! let layer = AuthLayer::new(provider, Origins::only("http://localhost:8080")?);
//! let api = ServiceBuilder::new().layer(layer).service(client());
//! # let _ = api; Ok(()) }
//! ```
//!
//! # Discovery
//! In addition to `builder`, most grants have a `discover` function, which needs the issuer's URL
//! instead of the endpoints: see [`ServerMetadata`].
//!
//! # If the server refuses the client
//! By default, the client's ID and secret are percent-encoded and sent with HTTP Basic (RFC 6749
//! section 2.3.1). Some servers expect something else. If the ID or the secret contains characters
//! other than ASCII letters, digits and `-._~`, try
//! [`client_secret_basic_unencoded()`](Builder::client_secret_basic_unencoded). Otherwise try
//! [`client_secret_post()`](Builder::client_secret_post). [`TokenError`] contains the server's
//! response.

mod access_token;
mod assertion_source;
mod authorization;
mod builder;
mod client;
mod client_auth;
mod client_credentials;
mod device;
mod discovery;
#[cfg(feature = "dpop")]
mod dpop;
mod endpoint;
mod error;
mod form;
mod grant;
mod http;
#[cfg(feature = "jwt")]
mod jwt;
mod jwt_bearer;
mod login;
mod login_required;
#[cfg(feature = "loopback")]
mod loopback;
mod password;
mod password_grant;
mod password_login;
mod refresh_request;
mod refresh_token;
mod response;
mod sanitize;
mod session;
mod token_exchange;
mod token_provider;

#[cfg(test)]
mod tests;

#[cfg(feature = "dpop")]
pub use self::dpop::{DpopKey, DpopToken};
#[cfg(feature = "jwt")]
pub use self::jwt::{SigningAlgorithm, SigningKey};
#[cfg(feature = "implicit")]
pub use self::login::Implicit;
#[cfg(feature = "loopback")]
pub use self::loopback::Loopback;
pub use self::{
    access_token::StoredAccessToken,
    builder::Builder,
    client_credentials::ClientCredentials,
    device::{DeviceAuthorization, DeviceCode},
    discovery::{DiscoveryError, ServerMetadata},
    error::TokenError,
    grant::{AccessToken, BrowserGrant, Grant, StandardGrant, TokenEndpointGrant},
    jwt_bearer::JwtBearer,
    login::{AuthorizationCode, LoginError, LoginFlow, PendingLogin},
    login_required::LoginRequired,
    password_grant::PasswordGrant,
    password_login::PasswordLogin,
    refresh_token::RefreshTokenGrant,
    token_exchange::TokenExchange,
    token_provider::TokenProvider,
};
