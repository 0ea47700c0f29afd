//! Request bodies that can be sent again.
//!
//! A request is sent a second time after a rejection, so its body is needed a second time.
//! [`CloneBody`] is how a body says whether that is possible. Bodies that hold all their data, such
//! as `Full`, just clone; they need nothing from this module. For every other body, a stream above
//! all, there is [`ReplayBody`], which [`ReplayLayer`] puts on the requests that pass.
//!
//! Don't use them for bodies that are larger than the memory you want to spend on a retry: beyond
//! the cap the request is sent as usual, but only once.
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
//!     // `AuthLayer` goes here; this stands for it and for the client.
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
mod map;
mod replay;

pub(crate) use self::drain::Drain;
pub use self::{
    clone::CloneBody,
    map::{MapBody, MapBodyLayer},
    replay::{Replay, ReplayBody, ReplayError, ReplayLayer},
};
