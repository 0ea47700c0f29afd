//! gRPC: what a rejection is there, and how to put the layer around a tonic channel.
//!
//! gRPC answers with HTTP status 200 whatever happens, and says UNAUTHENTICATED in the status of
//! the call. Tell the layer so with [`is_unauthenticated`].
//!
//! The messages of a client are a stream, so a [`ReplayLayer`](crate::ReplayLayer) makes them
//! replayable; and a tonic `Channel` takes only tonic's own body, so a
//! [`MapBodyLayer`](crate::body::MapBodyLayer) turns them into that:
//!
//! ```
//! use tonic::{body::Body, transport::Channel};
//! use tower::ServiceBuilder;
//! use tower_auth::{
//!     AuthLayer, Origins, ReplayBody, ReplayLayer, body::MapBodyLayer, credential::Bearer, grpc,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_auth::BoxError> {
//! let channel = Channel::from_static("https://api.example.com").connect_lazy();
//! let origins = Origins::relative_as("https://api.example.com")?;
//! let service = ServiceBuilder::new()
//!     .layer(ReplayLayer::new())
//!     .layer(AuthLayer::new(Bearer::new("token")?, origins).rejected_if(grpc::is_unauthenticated))
//!     .layer(MapBodyLayer::new(|body: ReplayBody<Body>| Body::new(body)))
//!     .service(channel);
//! // let client = EchoClient::new(service);
//! # let _ = service; Ok(()) }
//! ```
//!
//! A generated client that is made by `new` sends requests without a host, for a channel is bound
//! to one: [`Origins::relative_as`](crate::Origins::relative_as) says which. One that is made by
//! `with_origin` names the host, and needs nothing special.
//!
//! # What is not seen
//!
//! A server that rejects a call answers with headers alone ("trailers-only"), which is what
//! [`is_unauthenticated`] looks at. A status that comes in trailers after messages reaches the
//! caller as it is: the call had begun by then, and is not sent again.

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
