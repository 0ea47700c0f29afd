//! Client authentication for [tower]: a credential on every request, one refresh shared by all
//! callers, one retry on 401.
//!
//! [`AuthLayer`] wraps any `tower::Service<http::Request<B>>`. It gets credentials from a
//! [`Provider`], attaches them to requests to the given [`Origins`], refreshes them once for all
//! concurrent callers, and retries a rejected request with a new credential.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, ServiceExt};
//! use tower_auth::{AuthLayer, Origins, credential::Bearer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_auth::BoxError> {
//! # let client = tower::service_fn(|request: http::Request<Full<Bytes>>| async move {
//! #     assert_eq!(request.headers()["authorization"], "Bearer my-token");
//! #     Ok::<_, tower_auth::BoxError>(http::Response::new(Full::<Bytes>::default()))
//! # });
//! // `client` is any HTTP client that is a tower service, such as hyper-util's.
//! let layer = AuthLayer::new(Bearer::new("my-token")?, Origins::only("https://api.example.com")?);
//! let mut service = ServiceBuilder::new().layer(layer).service(client);
//!
//! let request = http::Request::get("https://api.example.com/things").body(Full::default())?;
//! let response = service.ready().await?.call(request).await?;
//! assert!(response.status().is_success());
//! # Ok(()) }
//! ```
//!
//! # Where to go from here
//!
//! - One page per task: the `guide` module.
//! - Sources of credentials: [`credential`] for static ones, [`oauth2`] for token endpoints,
//!   [`provider`] for files, other programs and your own providers. [`store`] keeps tokens across
//!   restarts and shares them between processes.
//! - Many users behind one client: `AuthLayer::per_key`.
//! - Clients other than hyper-util's: the `reqwest` module for reqwest, [`grpc`] for tonic.
//! - Using the credential outside of requests, logging out, reading the status: [`Handle`].
//! - Settings: [`RefreshSettings`] for refreshes, the methods of [`AuthLayer`] for requests.
//!
//! # How a request is processed
//!
//! 1. A request is sent unchanged if its origin is not among the layer's [`Origins`], if it already
//!    carries the caller's own credential, or if it is marked with [`SkipAuth`]. A response
//!    extension, [`NotAttached`], reports the reason.
//! 2. If there is a fresh credential, it is attached, and the request is sent. Otherwise, the
//!    request waits for the in-flight refresh, or starts one.
//! 3. A response that is not a rejection (by default, one whose status is not 401) is returned to
//!    the caller.
//! 4. After a rejection, the request is retried once, with the credential from a new refresh or
//!    from one that has already completed. A 401 means that the request was not applied (RFC 9110
//!    section 15.5.2), so a POST is retried too. If a retry is not possible, the caller gets the
//!    server's response, unread, with the reason in an extension, [`NotRetried`].
//!
//! If no credential is available, the call fails with an [`Error`]. The request is never sent
//! without a credential.
//!
//! # Bodies
//!
//! A retry needs the request's body a second time, so `B` must implement [`CloneBody`]. Bodies that
//! hold all their data (`Full`, `Empty`, `String`, ...) can be cloned. hyper's `Incoming` cannot,
//! so a request with such a body is sent only once. An outer [`ReplayLayer`] makes any other body
//! replayable while it streams: see [`body`].
//!
#![doc = include_str!("order.md")]
//!
//! # Features
//!
//! | feature | default | provides |
//! |---|---|---|
//! | `hyper` | yes | `hyper::body::Incoming` as a request body |
//! | `oauth2` | yes | OAuth 2.0: client credentials, refresh tokens, logins with a browser or a password, discovery |
//! | `file` | no | a token in a file that another program keeps up to date: `provider::FileToken` |
//! | `command` | no | a token that another program prints: `provider::CommandToken` |
//! | `jwt` | no | signed client assertions: `oauth2::SigningKey`, `private_key_jwt`, `client_secret_jwt` |
//! | `dpop` | no | tokens that are bound to a key (DPoP): `oauth2::DpopKey`; enables `jwt` |
//! | `loopback` | no | logins in the browser on the user's own machine: `oauth2::Loopback` |
//! | `implicit` | no | the deprecated implicit flow: `oauth2::Implicit` |
//! | `digest` | no | HTTP Digest: `credential::Digest` |
//! | `per-key` | no | many users behind one client: `AuthLayer::per_key` |
//! | `redis` | no | tokens shared by processes on many machines: `store::RedisStore` |
//! | `tracing` | no | spans and events for refreshes, retries and failures |
//! | `metrics` | no | counters and histograms for refreshes, rejections and token requests |
//! | `test-util` | no | a provider and a server for your own tests: the `test_util` module |
//! | `reqwest` | no | a tower service over a `reqwest::Client`: the `reqwest` module |
//! | `reqwest-middleware` | no | the layer as a middleware for reqwest-middleware: `reqwest::AuthMiddleware` |
//!
//! [tower]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[macro_use]
mod debug;

pub mod body;
mod cache;
pub mod challenge;
pub mod credential;
mod encoding;
mod error;
mod flow;
pub mod grpc;
#[cfg(feature = "reqwest")]
pub mod reqwest;
// The guide links to items from all of these features, so it exists only if all are enabled.
#[cfg(all(
    any(doc, doctest),
    feature = "command",
    feature = "digest",
    feature = "dpop",
    feature = "file",
    feature = "implicit",
    feature = "loopback",
    feature = "metrics",
    feature = "per-key",
    feature = "redis",
    feature = "reqwest-middleware",
    feature = "test-util",
    feature = "tracing"
))]
pub mod guide;
mod layer;
#[cfg(feature = "oauth2")]
pub mod oauth2;
mod observe;
mod origin;
pub mod provider;
mod secret;
#[cfg(feature = "oauth2")]
pub mod store;
mod sync;
#[cfg(feature = "test-util")]
pub mod test_util;
mod time;

#[cfg(feature = "per-key")]
pub use self::cache::PerKeySettings;
#[cfg(feature = "per-key")]
pub use self::layer::{PerKey, PerKeyHandle};
#[cfg(feature = "metrics")]
pub use self::observe::describe_metrics;
pub use self::{
    body::{CloneBody, ReplayBody, ReplayLayer},
    cache::{Backoff, CurrentCredential, Handle, RefreshSettings, Status},
    challenge::Challenge,
    credential::Credential,
    error::{BoxError, ConfigError, Error, ErrorKind, ProviderError},
    flow::{NotAttached, NotRetried, SkipAuth},
    layer::{Auth, AuthLayer, ResponseFuture, Select, Single},
    origin::Origins,
    provider::{BoxProvider, Issued, Provider, Reason, RefreshContext, provider_fn},
};

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "oauth2"))]
#[doc = include_str!("../README.md")]
struct Readme;
