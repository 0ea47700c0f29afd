//! Requests, and the service that responds to them.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::{Empty, Full};
use tower::Service;

pub(crate) type Body = Full<Bytes>;
pub(crate) type Answer = Response<Empty<Bytes>>;

/// The parts of a request. Cloning them does not allocate.
#[derive(Clone)]
pub(crate) struct Parts {
    uri: Uri,
    headers: [(HeaderName, HeaderValue); 4],
    body: Bytes,
}

impl Parts {
    /// Creates parts that share nothing with those of another call.
    pub(crate) fn new() -> Self {
        let text = |text: &str| HeaderValue::from_str(text).expect("a header value");
        Self {
            uri: "https://api.example.com/v1/things/4711?expand=all"
                .parse()
                .expect("a URI"),
            headers: [
                (header::ACCEPT, HeaderValue::from_static("application/json")),
                (
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                ),
                (header::USER_AGENT, HeaderValue::from_static("bench/1.0")),
                (
                    HeaderName::from_static("traceparent"),
                    text("00-0af7651916cd43dd8448eb211c80319c-01"),
                ),
            ],
            body: Bytes::from(vec![b'x'; 1024]),
        }
    }

    #[inline]
    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers: &mut HeaderMap = request.headers_mut();
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

/// The inner service.
#[derive(Clone, Debug)]
pub(crate) struct Server;

impl Service<Request<Body>> for Server {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(Empty::new())))
    }
}

/// Sends one request through a service that responds immediately.
#[inline]
pub(crate) fn exchange<S>(service: &mut S, parts: &Parts)
where
    S: Service<Request<Body>, Response = Answer>,
{
    let mut context = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut context), Poll::Ready(Ok(()))) {
        panic!("the service is not ready");
    }
    let future = pin!(service.call(parts.request()));
    match future.poll(&mut context) {
        Poll::Ready(Ok(response)) if response.status() == StatusCode::OK => {
            drop(black_box(response));
        }
        _ => panic!("the service does not answer"),
    }
}
