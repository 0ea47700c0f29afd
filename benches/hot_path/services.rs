//! The services that are compared.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{Empty, Full};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_auth::{Auth, AuthLayer, Issued, Origins, credential::Bearer, provider_fn};

type Body = Full<Bytes>;
type Answer = Response<Empty<Bytes>>;

pub(crate) const VARIANTS: [&str; 9] = [
    "bare",
    "insert",
    "clone_insert",
    "auth",
    "auth, no_retry",
    "auth, static",
    "auth, cloned",
    "auth, no_retry, cloned",
    "clone_insert, cloned",
];

/// One variant, ready to run. The services live as long as it does, but for the cloned ones.
pub(crate) struct Runner {
    run: Box<dyn FnMut(usize) + Send>,
    again: Box<dyn Fn() -> Runner + Send + Sync>,
}

impl Runner {
    pub(crate) fn new(variant: &str) -> Self {
        match variant {
            "bare" => Self::lasting(Inner),
            "insert" => Self::lasting(Insert::new()),
            "clone_insert" => Self::lasting(CloneInsert::new()),
            "auth" => Self::lasting(warm(refreshing()).layer(Inner)),
            "auth, no_retry" => Self::lasting(warm(refreshing()).no_retry().layer(Inner)),
            "auth, static" => Self::lasting(AuthLayer::new(token(), origins()).layer(Inner)),
            "auth, cloned" => Self::cloned(warm(refreshing()).layer(Inner)),
            "auth, no_retry, cloned" => Self::cloned(warm(refreshing()).no_retry().layer(Inner)),
            "clone_insert, cloned" => Self::cloned(CloneInsert::new()),
            other => unreachable!("no variant is called {other}"),
        }
    }

    /// Every request through the same service.
    fn lasting<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Answer> + Clone + Send + Sync + 'static,
    {
        let mut own = service.clone();
        Self {
            run: Box::new(move |requests| {
                for _ in 0..requests {
                    send(&mut own);
                }
            }),
            again: Box::new(move || Self::lasting(service.clone())),
        }
    }

    /// Every request through a clone of its own.
    fn cloned<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Answer> + Clone + Send + Sync + 'static,
    {
        let own = service.clone();
        Self {
            run: Box::new(move |requests| {
                for _ in 0..requests {
                    send(&mut own.clone());
                }
            }),
            again: Box::new(move || Self::cloned(service.clone())),
        }
    }

    pub(crate) fn run(&mut self, requests: usize) {
        (self.run)(requests);
    }

    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    pub(crate) fn time(&mut self, requests: usize) -> Duration {
        let start = Instant::now();
        self.run(requests);
        start.elapsed()
    }

    /// The same, with a service of its own.
    pub(crate) fn again(&self) -> Self {
        (self.again)()
    }
}

pub(crate) fn future_size() -> usize {
    size_of::<<Auth<Inner, Bearer> as Service<Request<Body>>>::Future>()
}

/// One request, from its making to the end of its response.
#[inline(never)]
fn send<S: Service<Request<Body>, Response = Answer>>(service: &mut S) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let future = pin!(service.call(request()));
    match future.poll(&mut context) {
        Poll::Ready(Ok(response)) => {
            black_box(response);
        }
        _ => unreachable!("the inner service answers at once"),
    }
}

/// A request of static parts: four headers and a body.
fn request() -> Request<Body> {
    let mut request = Request::new(Full::new(Bytes::from_static(b"{\"name\":\"a thing\"}")));
    *request.uri_mut() = Uri::from_static("https://api.example.com/v2/things?page=2");
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::USER_AGENT, HeaderValue::from_static("bench/1"));
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
    request
}

/// 256 bytes.
fn token() -> Bearer {
    Bearer::new("t".repeat(256)).expect("a token")
}

fn origins() -> Origins {
    Origins::only("https://api.example.com").expect("an origin")
}

fn refreshing() -> AuthLayer<impl tower_auth::Provider<Credential = Bearer>> {
    let provider = provider_fn(|_| {
        ready(Ok(
            Issued::new(token()).expires_in(Duration::from_secs(3600))
        ))
    });
    AuthLayer::new(provider, origins())
}

/// Gets the first token.
fn warm<P: tower_auth::Provider>(layer: AuthLayer<P>) -> AuthLayer<P> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let handle = layer.handle();
    runtime
        .expect("a runtime")
        .block_on(handle.credential())
        .expect("a token");
    layer
}

/// Answers at once.
#[derive(Clone)]
pub(crate) struct Inner;

impl Service<Request<Body>> for Inner {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// Puts a ready-made header value on each request.
#[derive(Clone)]
struct Insert {
    inner: Inner,
    value: HeaderValue,
}

impl Insert {
    fn new() -> Self {
        Self {
            inner: Inner,
            value: value(),
        }
    }
}

impl Service<Request<Body>> for Insert {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, self.value.clone());
        self.inner.call(request)
    }
}

/// Also keeps a copy of the request while it is under way.
#[derive(Clone)]
struct CloneInsert {
    inner: Inner,
    value: HeaderValue,
}

impl CloneInsert {
    fn new() -> Self {
        Self {
            inner: Inner,
            value: value(),
        }
    }
}

impl Service<Request<Body>> for CloneInsert {
    type Response = Answer;
    type Error = Infallible;
    type Future = Keeping;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let copy = request.clone();
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, self.value.clone());
        Keeping {
            future: self.inner.call(request),
            copy: Some(copy),
        }
    }
}

pin_project! {
    struct Keeping {
        #[pin]
        future: Ready<Result<Answer, Infallible>>,
        copy: Option<Request<Body>>,
    }
}

impl Future for Keeping {
    type Output = Result<Answer, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(context));
        drop(this.copy.take());
        Poll::Ready(response)
    }
}

fn value() -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", "t".repeat(256))).expect("a value");
    value.set_sensitive(true);
    value
}
