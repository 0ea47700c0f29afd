//! The effects of `Retry`, outside and inside the layer.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tower::{ServiceBuilder, retry::Policy};
use tower_auth::{
    BoxError, CloneBody, Credential, Error, Handle, Issued, ProviderError, credential::Bearer,
    provider_fn,
};

use crate::memory::{Answer, Api, Valid, bearer, get, numbered, only_api, send, status};

const SECOND: Duration = Duration::from_secs(1);

/// The policy from the documentation. It retries a 503 after 1 s, and a call without a
/// credential when the next credential may be available. The field is the number of retries left.
#[derive(Clone)]
pub(crate) struct RetryPolicy(pub(crate) usize);

impl<B: CloneBody, R> Policy<Request<B>, Response<R>, BoxError> for RetryPolicy {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Response<R>, BoxError>,
    ) -> Option<Sleep> {
        self.0 = self.0.checked_sub(1)?;
        let wait = match result {
            Ok(response) if response.status() == 503 => SECOND,
            Ok(_) => return None,
            Err(error) => error.downcast_ref::<Error>()?.retry_after()?,
        };
        // Last, because it ends the previous attempt, which may still be sending.
        request.body_mut().take_over().then(|| sleep(wait))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let mut copy = Request::new(request.body().try_clone_body()?);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        Some(copy)
    }
}

/// Creates an API that returns 503 the first `times` times, and 200 after that.
fn busy_api(times: usize) -> Api {
    let left = Arc::new(AtomicUsize::new(times));
    Api::new(move |_| {
        let busy = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        (Duration::ZERO, status(if busy.is_ok() { 503 } else { 200 }))
    })
}

/// Runs a call, and refreshes the token while the policy waits for its retry.
async fn refresh_during<C: Credential>(
    call: impl Future<Output = Result<Answer, BoxError>>,
    handle: Handle<C>,
) -> Answer {
    let refresh = async {
        sleep(SECOND / 2).await;
        handle.invalidate();
        assert!(handle.credential().await.is_ok());
    };
    tokio::join!(call, refresh).0.unwrap()
}

#[tokio::test(start_paused = true)]
async fn retry_outside_uses_the_current_credential() {
    let api = busy_api(1);
    let auth = only_api(numbered(Duration::ZERO).0);
    let handle = auth.handle();
    let service = ServiceBuilder::new()
        .retry(RetryPolicy(1))
        .layer(auth)
        .service(api.clone());
    let response = refresh_during(send(&service, get()), handle).await;
    assert_eq!(response.status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}

#[tokio::test(start_paused = true)]
async fn retry_inside_reuses_the_credential_of_the_first_attempt() {
    let api = busy_api(1);
    let auth = only_api(numbered(Duration::ZERO).0);
    let handle = auth.handle();
    let service = ServiceBuilder::new()
        .layer(auth)
        .retry(RetryPolicy(1))
        .service(api.clone());
    let response = refresh_during(send(&service, get()), handle).await;
    assert_eq!(response.status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t1"], "not the old token");
}

/// The retry after a rejection runs the policy again with its full count.
#[tokio::test(start_paused = true)]
async fn retry_inside_restarts_its_count_after_a_rejection() {
    let valid = Valid::of(&["t2"]);
    let busy = busy_for_each_token(2);
    let api = Api::new(move |seen| {
        let response = match busy(seen.token().unwrap()) {
            true => status(503),
            false => valid.answer(seen),
        };
        (Duration::ZERO, response)
    });
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .retry(RetryPolicy(2))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    let attempts = ["t1", "t1", "t1", "t2", "t2", "t2"];
    assert_eq!(
        api.tokens_seen(),
        attempts,
        "not two rounds of three attempts"
    );
}

fn busy_for_each_token(times: usize) -> impl Fn(&str) -> bool {
    let seen = Mutex::new(BTreeMap::<String, usize>::new());
    move |token| {
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(token.to_owned()).or_default();
        *count += 1;
        *count <= times
    }
}

#[tokio::test(start_paused = true)]
async fn retry_outside_does_not_count_retries_after_rejections() {
    let valid = Valid::of(&["t2"]);
    let busy = busy_for_each_token(2);
    let api = Api::new(move |seen| {
        let response = valid.answer(seen);
        let busy = response.status() == 200 && busy("t2");
        (Duration::ZERO, if busy { status(503) } else { response })
    });
    let service = ServiceBuilder::new()
        .retry(RetryPolicy(2))
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t2"]);
}

/// `Error::retry_after` is the time until a retry can help. An earlier retry returns the same error.
#[tokio::test(start_paused = true)]
async fn retry_outside_can_wait_for_the_next_token_request() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let provider = provider_fn(move |_| {
        let first = counter.fetch_add(1, SeqCst) == 0;
        async move {
            match first {
                true => Err(ProviderError::transient("busy").with_retry_after(20 * SECOND)),
                false => Ok(Issued::new(bearer("t1"))),
            }
        }
    });
    let service = ServiceBuilder::new()
        .retry(RetryPolicy(1))
        .layer(only_api(provider))
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() >= 20 * SECOND && start.elapsed() < 21 * SECOND);
    assert_eq!(calls.load(SeqCst), 2, "a token request was wasted");
}

/// If no credential is available, nothing is sent to the layers inside.
#[tokio::test(start_paused = true)]
async fn retry_inside_never_sees_missing_credential_errors() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let provider =
        provider_fn(|_| async { Err::<Issued<Bearer>, _>(ProviderError::transient("busy")) });
    let service = ServiceBuilder::new()
        .layer(only_api(provider))
        .retry(RetryPolicy(9))
        .service(api.clone());
    let error = send(&service, get()).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_provider());
    assert!(api.seen().is_empty());
}
