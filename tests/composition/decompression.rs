//! The effects of `Decompression`, outside and inside the layer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::{compression::CompressionLayer, decompression::DecompressionLayer};

use crate::memory::{Api, get, numbered, only_api};

/// The size of a response body. It exceeds the default drain limit. Its compressed form, a quarter
/// of that size, does not.
const SIZE: usize = 200 * 1024;

/// Returns random letters from an alphabet of four, so that each byte carries two bits.
fn page() -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    (0..SIZE).map(|_| random.u8(b'a'..=b'd')).collect()
}

/// A body that records whether it was read to its end.
struct TrackedBody<B> {
    body: B,
    ended: Arc<AtomicBool>,
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended.store(frame.is_none(), SeqCst);
        Poll::Ready(frame)
    }
}

/// Creates an API that rejects `t1`, and a flag that is set once the body of its 401 has been read
/// to the end.
fn api() -> (Api, Arc<AtomicBool>) {
    let api = Api::new(|seen| {
        let mut response = Response::new(Full::from(page()));
        if seen.token() == Some("t1") {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        (Duration::ZERO, response)
    });
    (api, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn decompression_outside_never_decompresses_rejections() {
    let (api, read) = api();
    let ended = Arc::clone(&read);
    let service = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .map_response(move |response: Response<_>| {
            let ended = match response.status().as_u16() {
                401 => Arc::clone(&ended),
                _ => Arc::default(),
            };
            response.map(|body| TrackedBody { body, ended })
        })
        .layer(CompressionLayer::new())
        .service(api.clone());
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.unwrap().to_bytes() == page());
    assert!(
        read.load(SeqCst),
        "the 401 was not drained, so its connection is not reusable"
    );
    for seen in api.seen() {
        assert_eq!(seen.headers["accept-encoding"], "gzip");
    }
}

/// Pitfall: a body that is small on the wire may exceed the drain limit once decompressed.
#[tokio::test(start_paused = true)]
async fn decompression_inside_drains_by_decompressed_size() {
    let (api, read) = api();
    let ended = Arc::clone(&read);
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .layer(DecompressionLayer::new())
        .map_response(move |response: Response<_>| {
            let ended = match response.status().as_u16() {
                401 => Arc::clone(&ended),
                _ => Arc::default(),
            };
            response.map(|body| TrackedBody { body, ended })
        })
        .layer(CompressionLayer::new())
        .service(api.clone());
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.unwrap().to_bytes() == page());
    assert!(!read.load(SeqCst), "the 401 was drained beyond the limit");
}
