//! Rejections in gRPC, and how to put the layer around a tonic channel.
//!
//! A gRPC server responds with HTTP status 200 in any case, and reports UNAUTHENTICATED in the
//! status of the call. Configure the layer for that with [`is_unauthenticated`].
//!
//! The messages of a client are a stream, so a [`ReplayLayer`](crate::ReplayLayer) makes them
//! replayable. A tonic `Channel` takes only tonic's own body type, so tower's `map_request`
//! converts the replayable body to that type. The `tonic_client` example is a complete program.
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
//! A channel sends every request to its own endpoint, and the requests of a generated client
//! created by `new` have no host. Name that endpoint with
//! [`Origins::for_relative_uris`](crate::Origins::for_relative_uris). Otherwise calls fail with an
//! [`Error`](crate::Error) that names the fix.
//!
//! The requests of a client created by `with_origin` do have a host, so
//! [`Origins::only`](crate::Origins::only) works too. The channel still sends them to its endpoint,
//! which the layer cannot see. If the two differ, the credential goes to a host that was not
//! checked.
//!
//! # What is retried
//!
//! Unary and client-streaming calls behave the same. The messages are recorded while they are sent.
//! Once they exceed the [cap](crate::ReplayLayer::cap), a rejection goes to the caller. Unlike HTTP
//! 401, gRPC does not promise that a rejected call was not applied. Servers that check credentials
//! before anything else, for example in an interceptor, keep that promise.
//!
//! Such a server responds with headers only ("trailers-only"), which is what [`is_unauthenticated`]
//! inspects. A status in trailers after the response's headers comes too late for a retry, because
//! the caller already has the response. To have the credential replaced anyway, report the
//! rejection:
//!
//! ```
//! # use tower_auth::{Handle, credential::Bearer};
//! # async fn call() -> Result<(), tonic::Status> { Ok(()) }
//! # async fn example(handle: Handle<Bearer>) -> Result<(), tower_auth::Error> {
//! let current = handle.credential().await?;
//! // `call` reads a stream of responses to its end.
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
//! The layer's errors arrive as a `tonic::Status` with the code UNKNOWN. Its `source()` can be
//! downcast to an [`Error`](crate::Error). The `Status` does not include the reason why a rejected
//! call was not retried ([`NotRetried`](crate::NotRetried)): inspect the responses in a layer above
//! this one.
//!
//! The timeouts of a channel and of a call (`grpc-timeout`) start with each attempt. To bound the
//! wait for a credential as well, put a `Timeout` at the top of the stack.

use http::{HeaderMap, StatusCode};

/// Returns whether a response reports UNAUTHENTICATED: `grpc-status: 16` in its headers, or HTTP
/// status 401, which a proxy in front of the gRPC server may send. Pass this function to
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
    fn only_status_16_and_http_401_are_rejections() {
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
