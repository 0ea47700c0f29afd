//! OAuth 2.0: providers that get bearer tokens from a token endpoint.
//!
//! | you have | use |
//! |---|---|
//! | a machine that acts for itself | [`ClientCredentials`] |
//! | the refresh token of a user who has logged in | [`RefreshTokenGrant`] |
//! | a person with a browser | [`AuthorizationCode`], and [`RefreshTokenGrant`] for what follows |
//! | a person whose browser is elsewhere | [`DeviceCode`], and [`RefreshTokenGrant`] for what follows |
//! | a person with a browser, and a server that knows only the implicit flow | [`Implicit`] (discouraged), and [`StoredAccessToken`] |
//! | a token of another server, or for another one | [`TokenExchange`] |
//! | an assertion of somebody whom the server trusts | [`JwtBearer`] |
//! | a user's password, for a server with `/auth/password` and `/auth/refresh` | [`PasswordLogin`] |
//! | a user's password, for a server that offers nothing better | [`PasswordGrant`] (discouraged) |
//! | a token that never changes | [`Bearer`](crate::credential::Bearer) |
//!
//! Refresh tokens are often good for one use, and a second use by anybody makes the server revoke
//! them all. Within a program all callers share one refresh; give the provider a
//! [store](crate::store) if it may be restarted or runs more than once.
//!
//! The token requests go through a service of the user's: any HTTP client for tower, with whatever
//! timeout and retry layers it has. Nothing else is needed: the layer sees to it that there is one
//! token request for all callers, when it is made, and what happens when it fails.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::ServiceBuilder;
//! use tower_auth::{AuthLayer, Origins, oauth2::ClientCredentials};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A connector with TLS, such as that of `hyper-rustls`, goes in the same place.
//! let client = || Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//!
//! let provider = ClientCredentials::builder("http://localhost:8080/oauth/v2/token")
//!     .client_id("my-service")
//!     .client_secret("correct horse battery staple")
//!     .scopes(["items:read"])
//!     .http(client()) // with a connection pool of its own
//!     .build()?;
//! let layer = AuthLayer::new(provider, Origins::only("http://localhost:8080")?);
//! let api = ServiceBuilder::new().layer(layer).service(client());
//! # let _ = api; Ok(()) }
//! ```
//!
//! # Servers that describe themselves
//! Most providers can be made from nothing but the issuer's address, with a `discover` beside their
//! `builder`: see [`ServerMetadata`].
//!
//! # When a server refuses the client
//! By default the client's id and secret are percent-encoded and sent in HTTP Basic (RFC 6749
//! 2.3.1). Servers differ: try [`client_secret_basic_unencoded()`](Builder::client_secret_basic_unencoded) if one of the
//! two has characters other than ASCII letters, digits and `-._~`, or
//! [`client_secret_post()`](Builder::client_secret_post). [`TokenError`] says what the
//! server answered.

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
mod scopes;
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
