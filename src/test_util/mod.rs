//! A scripted provider and server, for tests of programs that use this crate.
//!
//! Enable the feature only for tests:
//!
//! ```toml
//! [dev-dependencies]
//! tower-auth = { version = "0.1", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! - [`TestProvider`] replaces the real provider in a test that has its own API.
//! - [`TestServer`] is an API with a token endpoint: either an in-memory tower service, which
//!   follows tokio's paused time, or a real server on loopback.
//! - [`refresh_context`], [`revoke_context`] and [`response_head`] create the arguments that a
//!   layer passes to your own [`Provider`](crate::Provider) or [`Credential`](crate::Credential),
//!   to test it without a layer. [`RequestHeadMut::new`](crate::credential::RequestHeadMut::new)
//!   and [`Challenge::parse`](crate::Challenge::parse) create the other arguments.
//!
//! A program should handle a token that expires, a token that is revoked, and a failing token
//! endpoint:
//!
//! ```
//! use std::time::Duration;
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_auth::{AuthLayer, Origins, oauth2::ClientCredentials, test_util::TestServer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! // In a test: #[tokio::test(start_paused = true)]
//! let server = TestServer::new().lifetime(Duration::from_secs(60));
//! let tokens = ClientCredentials::builder(server.token_url())
//!     .client_id("my-program")
//!     .client_secret("hidden")
//!     .http(server.clone())
//!     .build()?;
//! let client = ServiceBuilder::new()
//!     .layer(AuthLayer::new(tokens, Origins::only(server.url())?))
//!     .service(server.clone());
//! let call = async || {
//!     let request = Request::get(format!("{}/things", server.url()));
//!     let response = client.clone().oneshot(request.body(Empty::<Bytes>::new())?).await?;
//!     Ok::<StatusCode, tower_auth::BoxError>(response.status())
//! };
//!
//! assert_eq!(call().await?, 200);
//! tokio::time::sleep(Duration::from_secs(61)).await; // the token expires
//! assert_eq!(call().await?, 200);
//! server.revoke_tokens();
//! assert_eq!(call().await?, 200); // retried after a 401
//! assert_eq!((server.token_requests(), server.rejected()), (3, 1));
//!
//! server.revoke_tokens();
//! server.fail_token_requests(1, StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(call().await?, 401); // the server's response, unchanged
//! # Ok::<(), tower_auth::BoxError>(()) })?;
//! # Ok::<(), tower_auth::BoxError>(())
//! ```

mod listen;
mod provider;
mod server;
mod values;

pub use self::{
    provider::TestProvider,
    server::TestServer,
    values::{refresh_context, response_head, revoke_context},
};
