//! Client authentication for [tower]: a credential on every request, one refresh for all callers,
//! one retry on 401.
//!
//! [`AuthLayer`] wraps any `tower::Service<http::Request<B>>`. It gets credentials from a
//! [`Provider`], puts them on the requests that go to the given [`Origins`], refreshes them once
//! for all concurrent callers, and sends a request again, with a new credential, when the server
//! rejects it.
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
//! - A page for each thing one wants to do: the module `guide`.
//! - Where credentials come from: [`credential`] for those that never change, [`oauth2`] for token
//!   endpoints, [`provider`] for files, other programs, and writing your own; [`store`] for tokens that outlive the process.
//! - Many users behind one client: `AuthLayer::per_key`.
//! - Other clients than hyper-util's: the module `reqwest` for reqwest, [`grpc`] for tonic.
//! - Using the credential outside of requests, logging out, asking how it stands: [`Handle`].
//! - What can be set: the methods of [`AuthLayer`].
//!
//! # The way of a request
//!
//! 1. If its origin is not among the layer's [`Origins`], if it carries a credential of its own, or
//!    is marked with [`SkipAuth`], it goes out as it came; the response says so in an extension,
//!    [`NotAttached`].
//! 2. If there is a fresh credential, it is put on the request, and the request is sent. Else the
//!    request waits for the refresh, which it starts if nobody else did.
//! 3. A response that is not a rejection (by default: whose status is not 401) goes to the caller.
//! 4. After a rejection the request is sent once more, with the credential that a refresh brings
//!    or that another caller's refresh has brought already. A 401 says that the request was not
//!    applied (RFC 9110 section 15.5.2), so that holds for a POST too. If that is not possible,
//!    the caller gets the server's own response, unread, with the reason in an extension,
//!    [`NotRetried`].
//!
//! If no credential can be had the call fails with an [`Error`]; it is never sent without one.
//!
//! # Bodies
//!
//! A retry needs the request's body a second time, so `B` must be a [`CloneBody`]. The bodies that
//! hold all their data are (`Full`, `Empty`, `String`, ..), and hyper's `Incoming` is too: it says
//! that it cannot be cloned, and such requests are sent once. A [`ReplayLayer`] above makes any
//! other body replayable while it streams: see [`body`].
//!
#![doc = include_str!("order.md")]
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `hyper` | yes | `hyper::body::Incoming` as a request body |
//! | `oauth2` | yes | OAuth 2.0: client credentials, refresh tokens, log-ins in a browser or with a password, discovery |
//! | `file` | no | a token in a file that somebody else keeps up to date: `provider::FileToken` |
//! | `command` | no | a token that another program prints: `provider::CommandToken` |
//! | `jwt` | no | clients with signed assertions: `oauth2::SigningKey`, `private_key_jwt`, `client_secret_jwt` |
//! | `implicit` | no | the implicit flow, deprecated (RFC 9700 2.1.2): `oauth2::Implicit` |
//! | `loopback` | no | log-ins in the browser of the person at this machine: `oauth2::Loopback` |
//! | `reqwest` | no | a tower service over a `reqwest::Client`: the module `reqwest` |
//! | `reqwest-middleware` | no | the same layer for reqwest-middleware: `reqwest::AuthMiddleware` |
//! | `dpop` | no | tokens that are bound to a key (DPoP): `oauth2::Dpop`; brings `jwt` |
//! | `digest` | no | HTTP Digest: `credential::Digest` |
//! | `per-key` | no | many users behind one client: `AuthLayer::per_key` |
//! | `redis` | no | `store::RedisStore`: tokens shared by the processes of many machines |
//! | `tracing` | no | spans and events: a refresh and its outcome, retries, trouble |
//! | `metrics` | no | counters and histograms of the same |
//! | `test-util` | no | the module `test_util`: a provider and a server for your own tests |
//!
//! [tower]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

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
// It names what is behind features, and is read where all are on.
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
pub use self::layer::{PerKeyAuth, PerKeyHandle, PerKeyLayer, RequestHead};
#[cfg(feature = "metrics")]
pub use self::observe::describe_metrics;
pub use self::{
    body::{CloneBody, ReplayBody, ReplayLayer},
    cache::{Backoff, CurrentCredential, Handle, RefreshSettings, Status},
    challenge::Challenge,
    credential::Credential,
    error::{BoxError, ConfigError, Error, ErrorKind, ProviderError},
    flow::{NotAttached, NotRetried, SkipAuth},
    layer::{Auth, AuthLayer, ResponseFuture},
    origin::Origins,
    provider::{BoxProvider, Issued, Provider, Reason, RefreshContext, provider_fn},
};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "oauth2"))]
#[doc = include_str!("../README.md")]
struct Readme;
