//! For the tests of programs that use this crate: a provider and a server that do as they are told.
//!
//! Turn the feature on for tests only:
//!
//! ```toml
//! [dev-dependencies]
//! tower-auth = { version = "0.1", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! - [`TestProvider`] takes the place of the real provider where the test has an API of its own.
//! - [`TestServer`] is an API and its token endpoint: a tower service in memory, which follows
//!   tokio's paused time, or a real server on loopback.
//!
//! What a program has to stand is a token that expires, one that is revoked, and a token endpoint in
//! trouble:
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
//! tokio::time::sleep(Duration::from_secs(61)).await; // it expires
//! assert_eq!(call().await?, 200);
//! server.revoke_tokens();
//! assert_eq!(call().await?, 200); // retried after a 401
//! assert_eq!((server.token_requests(), server.rejected()), (3, 1));
//!
//! server.revoke_tokens();
//! server.fail_token_requests(1, StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(call().await?, 401); // the server's own answer
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
