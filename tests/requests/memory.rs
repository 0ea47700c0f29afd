//! An in-memory API and its tokens.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};
use tower_auth::{
    AuthLayer, BoxError, Issued, NotRetried, Origins, Provider, ProviderError, credential::Bearer,
    provider_fn,
};

pub(crate) const URL: &str = "https://api.example.com/things?page=2";

pub(crate) type Answer = Response<Full<Bytes>>;

/// A request that the API received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) body: Bytes,
}

impl Seen {
    /// Returns the bearer token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.headers
            .get("authorization")?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")
    }
}

type Behavior = Arc<dyn Fn(&Seen) -> (Duration, Answer) + Send + Sync>;

/// A client whose responses come from a function. Like many services, it must be polled ready before
/// each call, and a clone is not ready (P24).
pub(crate) struct Api {
    behavior: Behavior,
    seen: Arc<Mutex<Vec<Seen>>>,
    ready: bool,
}

impl Api {
    pub(crate) fn new(
        behavior: impl Fn(&Seen) -> (Duration, Answer) + Send + Sync + 'static,
    ) -> Self {
        Self {
            behavior: Arc::new(behavior),
            seen: Arc::default(),
            ready: false,
        }
    }

    /// Accepts these tokens, and responds 401 to everything else.
    pub(crate) fn accepting(tokens: &Valid) -> Self {
        let tokens = tokens.clone();
        Self::new(move |seen| (Duration::ZERO, tokens.answer(seen)))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn tokens_seen(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| seen.token().unwrap_or("none").to_owned())
            .collect()
    }
}

impl Clone for Api {
    fn clone(&self) -> Self {
        Self {
            behavior: Arc::clone(&self.behavior),
            seen: Arc::clone(&self.seen),
            ready: false,
        }
    }
}

impl<B> Service<Request<B>> for Api
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Debug,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being polled ready"
        );
        let (behavior, all) = (Arc::clone(&self.behavior), Arc::clone(&self.seen));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let seen = Seen {
                method: head.method,
                uri: head.uri,
                version: head.version,
                headers: head.headers,
                extensions: head.extensions,
                body: body.collect().await.unwrap().to_bytes(),
            };
            all.lock().unwrap().push(seen.clone());
            let (delay, answer) = behavior(&seen);
            if !delay.is_zero() {
                sleep(delay).await;
            }
            Ok(answer)
        })
    }
}

pub(crate) fn status(status: u16) -> Answer {
    let mut response = Response::new(Full::from(format!("answer {status}")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub(crate) fn challenge(code: u16, challenge: &'static str) -> Answer {
    let mut response = status(code);
    response
        .headers_mut()
        .insert("www-authenticate", challenge.parse().unwrap());
    response
}

/// The valid tokens.
#[derive(Clone, Default)]
pub(crate) struct Valid(Arc<Mutex<BTreeSet<String>>>);

impl Valid {
    pub(crate) fn of(tokens: &[&str]) -> Self {
        let valid = Self::default();
        valid.set(tokens);
        valid
    }

    pub(crate) fn set(&self, tokens: &[&str]) {
        *self.0.lock().unwrap() = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Answer {
        let valid = seen
            .token()
            .is_some_and(|token| self.0.lock().unwrap().contains(token));
        if valid {
            status(200)
        } else {
            challenge(401, "Bearer error=\"invalid_token\"")
        }
    }
}

/// Issues `t1`, `t2` and so on, each after `time`. Also returns the number of calls.
pub(crate) fn numbered(time: Duration) -> (impl Provider<Credential = Bearer>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let provider = provider_fn(move |_| {
        let number = counter.fetch_add(1, SeqCst) + 1;
        async move {
            sleep(time).await;
            Ok(Issued::new(bearer(&format!("t{number}"))))
        }
    });
    (provider, calls)
}

/// Issues these tokens in turn, then fails.
pub(crate) fn scripted(tokens: &'static [&'static str]) -> impl Provider<Credential = Bearer> {
    let next = AtomicUsize::new(0);
    provider_fn(move |_| {
        let token = tokens.get(next.fetch_add(1, SeqCst)).copied();
        async move {
            match token {
                Some(token) => Ok(Issued::new(bearer(token))),
                None => Err(ProviderError::permanent("the script is over")),
            }
        }
    })
}

pub(crate) fn bearer(token: &str) -> Bearer {
    Bearer::new(token).unwrap()
}

pub(crate) fn only_api<P: Provider>(provider: P) -> AuthLayer<P> {
    AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap())
}

/// Returns a request whose URI has no host.
pub(crate) fn relative() -> Request<Full<Bytes>> {
    Request::get("/things").body(Full::default()).unwrap()
}

pub(crate) fn get() -> Request<Full<Bytes>> {
    Request::get(URL).body(Full::default()).unwrap()
}

/// Sends a request through a clone of a service.
pub(crate) async fn send<S, B>(service: &S, request: Request<B>) -> Result<Answer, BoxError>
where
    S: Service<Request<B>, Response = Answer, Error = BoxError> + Clone,
{
    service.clone().oneshot(request).await
}

/// Checks that a request fails before it is sent, and that the service, which is not dropped, then
/// holds no permit of the inner service.
pub(crate) async fn fails_unsent<L>(layer: &L, request: Request<Full<Bytes>>)
where
    L: Layer<ConcurrencyLimit<Api>>,
    L::Service: Service<Request<Full<Bytes>>, Response = Answer, Error = BoxError>,
{
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let limited = ConcurrencyLimit::new(api.clone(), 1);
    let mut service = layer.layer(limited.clone());
    let call = service.ready().await.unwrap().call(request);
    call.await.expect_err("it was sent");
    assert!(api.seen().is_empty());
    let other = timeout(Duration::from_secs(1), limited.oneshot(get())).await;
    assert_eq!(other.expect("a permit").unwrap().status(), 200);
    drop(service);
}

pub(crate) fn why(response: &Answer) -> Option<&NotRetried> {
    response.extensions().get()
}
