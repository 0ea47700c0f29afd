//! Request bodies that can be sent again.
//!
//! A retry needs the request's body a second time. [`CloneBody`] is how a body states whether that
//! is possible. Bodies that hold all their data, such as `Full`, are simply cloned and need nothing
//! from this module. Every other body, such as a stream, becomes replayable inside a
//! [`ReplayBody`], which [`ReplayLayer`] puts around the bodies of all requests.
//!
//! Do not use `ReplayBody` for bodies that are larger than the memory you want to spend on a retry.
//! A body above the cap is sent as usual, but only once.
//!
//! A client that takes only one body type, such as tonic's `Channel`, does not accept a
//! `ReplayBody`. Put tower's `map_request` between [`AuthLayer`](crate::AuthLayer) and that client:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_auth::{BoxError, ReplayBody, ReplayLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let client = service_fn(async |request: Request<UnsyncBoxBody<_, BoxError>>| {
//!     Ok::<_, BoxError>(Response::new(request.into_body().collect().await?.to_bytes()))
//! });
//! let service = ServiceBuilder::new()
//!     .layer(ReplayLayer::new().cap(1024 * 1024))
//!     // `AuthLayer` goes here.
//!     .map_request(|request: Request<ReplayBody<String>>| request.map(BodyExt::boxed_unsync))
//!     .service(client);
//! assert_eq!(service.oneshot(Request::new("data".to_owned())).await?.into_body(), "data");
//! # Ok(()) }
//! ```
//!
//! # Example
//!
//! A service that sends a request twice, as `AuthLayer` does after a rejection:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use futures::stream;
//! use http::{Request, Response};
//! use http_body::Frame;
//! use http_body_util::{BodyExt, StreamBody};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_auth::{CloneBody, ReplayBody, ReplayLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_auth::BoxError> {
//! let service = ServiceBuilder::new()
//!     .layer(ReplayLayer::new().cap(1024 * 1024))
//!     // This stands in for `AuthLayer` and the client.
//!     .service(service_fn(async |request: Request<ReplayBody<_>>| {
//!         let first = request.into_body();
//!         let mut kept = first.try_clone_body().ok_or("not replayable")?;
//!         let sent = first.collect().await?.to_bytes();
//!         assert!(kept.take_over());
//!         let sent_again = kept.collect().await?.to_bytes();
//!         assert_eq!(sent, sent_again);
//!         Ok::<_, tower_auth::BoxError>(Response::new(sent_again))
//!     }));
//!
//! let chunks = ["any ", "stream"].map(|s| Ok::<_, Infallible>(Frame::data(Bytes::from(s))));
//! let request = Request::new(StreamBody::new(stream::iter(chunks)));
//! assert_eq!(service.oneshot(request).await?.into_body(), "any stream");
//! # Ok(())
//! # }
//! ```

mod clone;
mod drain;
mod replay;

pub(crate) use self::drain::Drain;
pub use self::{
    clone::CloneBody,
    replay::{Replay, ReplayBody, ReplayError, ReplayLayer},
};
