//! `Retry`.

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

/// What a program's policy may look like: it retries what is busy after a second, and a missing
/// credential when the next one may be had.
#[derive(Clone)]
pub(crate) struct Patient(pub(crate) usize);

impl<B: CloneBody, R> Policy<Request<B>, Response<R>, BoxError> for Patient {
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
        // Last, as it ends the sending before: that one may still be under way.
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

/// Busy at first, and then not.
fn busy(times: usize) -> Api {
    let left = Arc::new(AtomicUsize::new(times));
    Api::new(move |_| {
        let busy = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        (Duration::ZERO, status(if busy.is_ok() { 503 } else { 200 }))
    })
}

/// While the policy waits, there is a new token.
async fn renewed_meanwhile<C: Credential>(
    call: impl Future<Output = Result<Answer, BoxError>>,
    handle: Handle<C>,
) -> Answer {
    let renewal = async {
        sleep(SECOND / 2).await;
        handle.invalidate();
        assert!(handle.credential().await.is_ok());
    };
    tokio::join!(call, renewal).0.unwrap()
}

#[tokio::test(start_paused = true)]
async fn retry_outside_sends_again_with_the_credential_of_that_moment() {
    let api = busy(1);
    let auth = only_api(numbered(Duration::ZERO).0);
    let handle = auth.handle();
    let service = ServiceBuilder::new()
        .retry(Patient(1))
        .layer(auth)
        .service(api.clone());
    let response = renewed_meanwhile(send(&service, get()), handle).await;
    assert_eq!(response.status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}

#[tokio::test(start_paused = true)]
async fn retry_inside_sends_again_with_the_credential_of_the_first_time() {
    let api = busy(1);
    let auth = only_api(numbered(Duration::ZERO).0);
    let handle = auth.handle();
    let service = ServiceBuilder::new()
        .layer(auth)
        .retry(Patient(1))
        .service(api.clone());
    let response = renewed_meanwhile(send(&service, get()), handle).await;
    assert_eq!(response.status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t1"], "an old one");
}

/// What is rejected because it is old by now is found out one 401 later.
#[tokio::test(start_paused = true)]
async fn retry_inside_counts_anew_after_a_rejection() {
    let valid = Valid::of(&["t2"]);
    let busy = busy_for_each_token(2);
    let api = Api::new(move |seen| {
        let answer = match busy(seen.token().unwrap()) {
            true => status(503),
            false => valid.answer(seen),
        };
        (Duration::ZERO, answer)
    });
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .retry(Patient(2))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    let sendings = ["t1", "t1", "t1", "t2", "t2", "t2"];
    assert_eq!(api.tokens_seen(), sendings, "twice the policy's three");
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
async fn retry_outside_counts_calls_each_of_which_may_be_rejected_once() {
    let valid = Valid::of(&["t2"]);
    let busy = busy_for_each_token(2);
    let api = Api::new(move |seen| {
        let answer = valid.answer(seen);
        let busy = answer.status() == 200 && busy("t2");
        (Duration::ZERO, if busy { status(503) } else { answer })
    });
    let service = ServiceBuilder::new()
        .retry(Patient(2))
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t2"]);
}

/// `Error::retry_after` says when trying again can help: earlier it is the same error once more.
#[tokio::test(start_paused = true)]
async fn retry_outside_can_wait_until_the_next_token_request_is_due() {
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
        .retry(Patient(1))
        .layer(only_api(provider))
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() >= 20 * SECOND && start.elapsed() < 21 * SECOND);
    assert_eq!(calls.load(SeqCst), 2, "none in vain");
}

/// A missing credential is not the business of a layer below.
#[tokio::test(start_paused = true)]
async fn retry_inside_never_sees_that_there_is_no_credential() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let provider =
        provider_fn(|_| async { Err::<Issued<Bearer>, _>(ProviderError::transient("busy")) });
    let service = ServiceBuilder::new()
        .layer(only_api(provider))
        .retry(Patient(9))
        .service(api.clone());
    let error = send(&service, get()).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_provider());
    assert!(api.seen().is_empty());
}
