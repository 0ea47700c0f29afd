//! `Decompression`.

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

/// Larger than what is drained of a rejection, and a quarter of it when compressed, which is less.
const SIZE: usize = 200 * 1024;

/// Four different bytes in no order: two bits of information for each of them.
fn page() -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    (0..SIZE).map(|_| random.u8(b'a'..=b'd')).collect()
}

/// A body that tells whether it was read to its end.
struct Watched<B> {
    body: B,
    ended: Arc<AtomicBool>,
}

impl<B: Body + Unpin> Body for Watched<B> {
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

/// An API that compresses what it answers; the body of its 401 tells whether it was read.
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
async fn decompression_outside_never_decompresses_a_rejection() {
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
            response.map(|body| Watched { body, ended })
        })
        .layer(CompressionLayer::new())
        .service(api.clone());
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.unwrap().to_bytes() == page());
    assert!(read.load(SeqCst), "its connection can be used again");
    for seen in api.seen() {
        assert_eq!(seen.headers["accept-encoding"], "gzip");
    }
}

/// Footgun: what is small on the wire may be too large to be drained.
#[tokio::test(start_paused = true)]
async fn decompression_inside_decompresses_rejections_and_counts_them_at_their_full_size() {
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
            response.map(|body| Watched { body, ended })
        })
        .layer(CompressionLayer::new())
        .service(api.clone());
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.unwrap().to_bytes() == page());
    assert!(!read.load(SeqCst), "its connection is given up");
}
