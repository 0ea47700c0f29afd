//! Rules 2 and 8: a refresh that is dropped at any point loses no token that the process has
//! received, and the next refresh recovers. A runtime that shuts down drops refreshes like this.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use http_body::Frame;
use http_body_util::StreamBody;
use tokio::task::yield_now;

use super::*;
use crate::store::{
    Fence, Intent, LockAttempt, MemoryStore, Revision, SaveRequest, StoreError, StoreKey, Stored,
    TokenStore, WriteOutcome,
};

/// A token server that accepts each refresh token only once.
#[derive(Default)]
struct RotatingServer {
    spent: HashSet<String>,
    /// The number of tokens that the server has issued.
    issued: usize,
    /// The number of the newest token that the client has received.
    received: usize,
    /// The number of times that a spent refresh token was sent.
    reused: usize,
}

type SharedServer = Arc<Mutex<RotatingServer>>;
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn respond(
    server: SharedServer,
    request: Request<Full<Bytes>>,
) -> Result<Response<Body>, Infallible> {
    let form = request.into_body().collect().await?.to_bytes();
    let form = String::from_utf8(form.to_vec()).unwrap();
    let token = form.rsplit_once("refresh_token=").unwrap().1.to_owned();
    yield_now().await;
    let number = {
        let mut state = server.lock().unwrap();
        if state.spent.insert(token) {
            state.issued += 1;
            Some(state.issued)
        } else {
            state.reused += 1;
            None
        }
    };
    yield_now().await;
    let Some(number) = number else {
        let body = Full::from(r#"{"error":"invalid_grant"}"#).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = ::http::StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let body = format!(
        r#"{{"access_token":"a{number}","token_type":"Bearer","expires_in":3600,"refresh_token":"r{number}"}}"#
    );
    let frames = futures::stream::once(async move {
        yield_now().await;
        server.lock().unwrap().received = number;
        Ok(Frame::data(Bytes::from(body)))
    });
    Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
}

/// A store whose operations can be cut off before and after they take effect.
#[derive(Clone, Default)]
struct SlowStore(MemoryStore);

macro_rules! slowly {
    ($operation:expr) => {{
        yield_now().await;
        let result = $operation.await;
        yield_now().await;
        result
    }};
}

impl TokenStore for SlowStore {
    fn name(&self) -> &str {
        "slow"
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        slowly!(self.0.load(key))
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        slowly!(self.0.save(key, save))
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        slowly!(self.0.delete(key))
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        slowly!(self.0.try_lock(key, holder, ttl))
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        slowly!(self.0.renew(key, fence, ttl))
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        slowly!(self.0.unlock(key, fence))
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        slowly!(self.0.set_intent(key, fence, intent))
    }
}

/// Polls a future up to `polls` times, and then drops it. Returns whether it completed.
async fn cut_off(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if polled.is_ready() {
            return true;
        }
        yield_now().await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_refresh_can_be_dropped_at_any_point() {
    let key = StoreKey::issuer(URL);
    for reason in [Reason::Initial, Reason::Early] {
        let mut points = 0;
        loop {
            let (server, store) = (SharedServer::default(), SlowStore::default());
            let service = service_fn({
                let server = Arc::clone(&server);
                move |request| respond(Arc::clone(&server), request)
            });
            let provider = RefreshTokenGrant::builder(URL)
                .client_id("app")
                .refresh_token("r0")
                .store(store.clone(), key.clone())
                .http(service)
                .build()
                .unwrap();
            let is_complete = cut_off(provider.issue(context_because(reason)), points).await;
            let was_lost = {
                let server = server.lock().unwrap();
                server.issued > server.received
            };

            let mut result = provider.issue(context_because(reason)).await;
            if result.as_ref().is_err_and(|error| error.is_transient()) {
                // Wait until the lock of the first refresh has expired.
                tokio::time::sleep(Duration::from_secs(20)).await;
                result = provider.issue(context_because(reason)).await;
            }
            let stored = store.0.load(&key).await.unwrap();
            match result {
                Ok(issued) => {
                    let newest = server.lock().unwrap().issued;
                    assert_eq!(issued.credential().expose(), format!("a{newest}"));
                    let tokens = stored.tokens.unwrap();
                    let newest = format!("r{newest}");
                    assert_eq!(tokens.expose_refresh_token(), Some(&*newest));
                    assert_eq!(server.lock().unwrap().reused, 0, "dropped at {points}");
                    assert!(!was_lost, "dropped at {points}");
                }
                Err(error) => {
                    let login = error.get_ref().downcast_ref::<LoginRequired>();
                    assert!(login.unwrap().is_outcome_lost(), "{error:#}");
                    assert!(was_lost, "dropped at {points}: {error:#}");
                }
            }
            assert_eq!(stored.intent, None, "dropped at {points}");
            if is_complete {
                break;
            }
            points += 1;
        }
        assert!(points > 15, "{points}");
    }
}
