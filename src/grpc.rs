//! gRPC: what a rejection is there, and how to put the layer around a tonic channel.
//!
//! gRPC answers with HTTP status 200 whatever happens, and says UNAUTHENTICATED in the status of
//! the call. Tell the layer so with [`is_unauthenticated`].
//!
//! The messages of a client are a stream, so a [`ReplayLayer`](crate::ReplayLayer) makes them
//! replayable. A tonic `Channel` takes only tonic's own body type, so tower's `map_request` turns
//! the replayable body into that. The example `tonic_client` is a complete program.
//!
//! ```
//! use tonic::{body::Body, transport::Channel};
//! use tower::ServiceBuilder;
//! use tower_auth::{AuthLayer, Origins, ReplayBody, ReplayLayer, credential::Bearer, grpc};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_auth::BoxError> {
//! let channel = Channel::from_static("https://api.example.com").connect_lazy();
//! let origins = Origins::for_relative_uris("https://api.example.com")?;
//! let service = ServiceBuilder::new()
//!     .layer(ReplayLayer::new())
//!     .layer(AuthLayer::new(Bearer::new("token")?, origins).rejected_if(grpc::is_unauthenticated))
//!     .map_request(|request: http::Request<ReplayBody<Body>>| request.map(Body::new))
//!     .service(channel);
//! // let client = EchoClient::new(service);
//! # let _ = service; Ok(()) }
//! ```
//!
//! # The origin
//!
//! A channel sends every request to its own endpoint, and a generated client made by `new` names no
//! host in its requests. [`Origins::for_relative_uris`](crate::Origins::for_relative_uris) says which one is
//! meant: give it the channel's endpoint. Without it, calls fail with an [`Error`](crate::Error)
//! that says so.
//!
//! A client made by `with_origin` does name a host, so [`Origins::only`](crate::Origins::only) does
//! too; but the channel goes to its endpoint all the same, which the layer cannot see. If the two
//! differ, the credential goes to another host than was checked.
//!
//! # What is sent again, and what is not
//!
//! Unary and client-streaming calls are alike: the messages are kept while they are sent, and once
//! there are more of them than the [cap](crate::ReplayLayer::cap), a rejection goes to the caller.
//! gRPC does not promise, as HTTP 401 does, that a rejected call was not applied; servers that
//! check credentials before anything else, by an interceptor for example, keep that promise.
//!
//! Such a server answers with headers alone ("trailers-only"), and they are what
//! [`is_unauthenticated`] looks at. A status in trailers that follow the headers of an answer comes
//! too late: the call has begun to answer, and the caller gets what there is. To have the
//! credential replaced nevertheless, report it:
//!
//! ```
//! # use tower_auth::{Handle, credential::Bearer};
//! # async fn call() -> Result<(), tonic::Status> { Ok(()) }
//! # async fn example(handle: Handle<Bearer>) -> Result<(), tower_auth::Error> {
//! let current = handle.credential().await?;
//! // `call` reads a stream of answers to its end.
//! if let Err(status) = call().await
//!     && status.code() == tonic::Code::Unauthenticated
//! {
//!     handle.reject(&current);
//! }
//! # Ok(()) }
//! ```
//!
//! # Errors
//!
//! The errors of this layer come as a `tonic::Status` with the code UNKNOWN; its `source()` can be
//! downcast to an [`Error`](crate::Error). Why a rejected call was not sent again
//! ([`NotRetried`](crate::NotRetried)) is not in the `Status` that the client makes of the answer:
//! look at the responses in a layer above this one.
//!
//! The timeouts of a channel, and that of a call (`grpc-timeout`), start with each sending. To bound
//! the wait for a credential too, put a `Timeout` on top of the stack.

use http::{HeaderMap, StatusCode};

/// Whether a response says UNAUTHENTICATED: `grpc-status: 16` in its headers, or HTTP status 401
/// (of a proxy before the gRPC server). For
/// [`AuthLayer::rejected_if`](crate::AuthLayer::rejected_if).
#[must_use]
pub fn is_unauthenticated(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        || headers.get("grpc-status").is_some_and(|code| code == "16")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P20.
    #[test]
    fn status_16_and_http_401_are_rejections_and_nothing_else_is() {
        let check = |status, code: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(code) = code {
                headers.insert("grpc-status", code.parse().unwrap());
            }
            is_unauthenticated(status, &headers)
        };
        assert!(check(StatusCode::OK, Some("16")));
        assert!(check(StatusCode::UNAUTHORIZED, None));
        assert!(!check(StatusCode::OK, Some("7")), "permission denied");
        assert!(!check(StatusCode::OK, Some("0")));
        assert!(!check(StatusCode::OK, None));
        assert!(!check(StatusCode::FORBIDDEN, None));
    }
}
