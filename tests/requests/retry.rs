//! The outcomes of a rejection: one refresh and one retry, or the server's own response.

use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_auth::{
    AuthLayer, BoxError, BoxProvider, CloneBody, Credential, Issued, NotRetried, Provider,
    ProviderError,
    credential::{ApiKey, Basic, Bearer, RequestHeadMut, ResponseHead},
    provider_fn,
};

use crate::memory::{
    Answer, Api, URL, Valid, bearer, challenge, get, numbered, only_api, scripted, send, status,
    why,
};

/// P14.
#[tokio::test(start_paused = true)]
async fn a_thousand_rejections_cause_one_refresh_and_no_visible_401() {
    let valid = Valid::of(&["t1"]);
    let tokens = valid.clone();
    let api = Api::new(move |seen| (Duration::from_millis(20), tokens.answer(seen)));
    let (provider, calls) = numbered(Duration::from_millis(50));
    let service = only_api(provider).layer(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);

    valid.set(&["t2"]);
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let service = service.clone();
        requests.spawn(async move { send(&service, get()).await });
    }
    for response in requests.join_all().await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(api.seen().len(), 1 + 1000 + 1000);
}

/// Rule 5, P15.
#[tokio::test(start_paused = true)]
async fn late_rejection_of_an_old_generation_uses_the_newer_one() {
    let valid = Valid::of(&["t1"]);
    let tokens = valid.clone();
    let api = Api::new(move |seen| {
        let slow = seen.headers.contains_key("slow") && seen.token() == Some("t1");
        (
            Duration::from_secs(if slow { 60 } else { 0 }),
            tokens.answer(seen),
        )
    });
    let (provider, calls) = numbered(Duration::from_millis(50));
    let service = only_api(provider).layer(api.clone());
    send(&service, get()).await.unwrap();
    valid.set(&["t2"]);
    let mut slow = get();
    slow.headers_mut().insert("slow", "1".parse().unwrap());
    let late = tokio::spawn({
        let service = service.clone();
        async move { send(&service, slow).await }
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(late.await.unwrap().unwrap().status(), 200);
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(api.tokens_seen(), ["t1", "t1", "t1", "t2", "t2"]);
}

/// P18: the same token was set as a permanent one while the request was in progress.
#[tokio::test(start_paused = true)]
async fn token_that_became_permanent_is_not_refreshed() {
    let api = Api::new(|_| (Duration::from_secs(1), status(401)));
    let (provider, calls) = numbered(Duration::ZERO);
    let layer = only_api(provider);
    let service = layer.layer(api.clone());
    let request = tokio::spawn(async move { send(&service, get()).await });
    sleep(Duration::from_millis(500)).await;
    layer
        .handle()
        .set_credential(Issued::permanent(bearer("t1")));
    let response = request.await.unwrap().unwrap();
    assert!(matches!(why(&response), Some(NotRetried::StaticCredential)));
    assert_eq!(calls.load(SeqCst), 1);
}

/// Rule 7, P16, R34.
#[tokio::test(start_paused = true)]
async fn always_rejected_token_is_refreshed_once_then_rarely() {
    let api = Api::accepting(&Valid::default());
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(why(&response), Some(NotRetried::RejectedAgain)));
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
    for _ in 0..1000 {
        let response = send(&service, get()).await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(matches!(
            why(&response),
            Some(NotRetried::TooManyRejections { .. })
        ));
    }
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 7: a rejected retry restarts the 30 s that a credential must go without a rejection.
#[tokio::test(start_paused = true)]
async fn rejected_retry_counts_from_when_it_arrives() {
    let api = Api::new(|_| (Duration::from_secs(20), status(401)));
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api);
    send(&service, get()).await.unwrap();
    // The second token is 40 s old when it is rejected again. It was first rejected 20 s earlier.
    let response = send(&service, get()).await.unwrap();
    assert!(matches!(
        why(&response),
        Some(NotRetried::TooManyRejections { .. })
    ));
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 7, P16: an acceptance on another route does not justify more refreshes.
#[tokio::test(start_paused = true)]
async fn acceptance_elsewhere_does_not_extend_the_refresh_budget() {
    let api = Api::new(|seen| {
        let answer = if seen.uri.path() == "/things" {
            status(401)
        } else {
            status(200)
        };
        (Duration::from_millis(1), answer)
    });
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    let other = || {
        Request::get("https://api.example.com/other")
            .body(Full::default())
            .unwrap()
    };
    for _ in 0..1000 {
        assert_eq!(send(&service, other()).await.unwrap().status(), 200);
        assert_eq!(send(&service, get()).await.unwrap().status(), 401);
    }
    // After about 3 s: the first token, five refreshes within the budget, and two in the backoff.
    assert!(calls.load(SeqCst) <= 8, "{calls:?}");
}

/// Rule 7: a failing server, or a proxy in front of it, has not checked the token.
#[tokio::test(start_paused = true)]
async fn response_that_never_checked_the_token_is_not_acceptance() {
    for unseen in [503, 407] {
        let asked = AtomicUsize::new(0);
        let api = Api::new(move |_| {
            let first = asked.fetch_add(1, SeqCst) == 0;
            (Duration::ZERO, status(if first { unseen } else { 401 }))
        });
        let (provider, calls) = numbered(Duration::ZERO);
        let service = only_api(provider).layer(api);
        assert_eq!(send(&service, get()).await.unwrap().status(), unseen);
        for _ in 0..20 {
            assert_eq!(send(&service, get()).await.unwrap().status(), 401);
        }
        assert_eq!(calls.load(SeqCst), 2, "{unseen}");
    }
}

/// P17.
#[tokio::test(start_paused = true)]
async fn same_token_after_a_refresh_is_not_retried() {
    let api = Api::accepting(&Valid::default());
    let service = only_api(scripted(&["same", "same"])).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(why(&response), Some(NotRetried::SameCredential)));
    assert_eq!(api.seen().len(), 1);
}

/// P18, R19.
#[tokio::test(start_paused = true)]
async fn the_401_of_a_static_credential_is_returned_unchanged() {
    let untouched = |response: Answer| async move {
        assert_eq!(response.status(), 401);
        assert!(matches!(why(&response), Some(NotRetried::StaticCredential)));
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "answer 401"
        );
    };
    let api = Api::accepting(&Valid::default());
    let token = only_api(bearer("personal")).layer(api.clone());
    untouched(send(&token, get()).await.unwrap()).await;
    let basic = only_api(Basic::new("a@b.c", "secret").unwrap()).layer(api.clone());
    untouched(send(&basic, get()).await.unwrap()).await;
    let key = only_api(ApiKey::header("x-api-key", "k").unwrap()).layer(api.clone());
    untouched(send(&key, get()).await.unwrap()).await;
    assert_eq!(api.seen().len(), 3);
}

/// P19, R15.
#[tokio::test(start_paused = true)]
async fn error_that_a_new_token_cannot_fix_starts_no_refresh() {
    for (text, expected) in [
        (
            "Bearer error=\"insufficient_scope\", scope=\"a b\"",
            "insufficient rights",
        ),
        ("bEARER ERROR=insufficient_scope", "insufficient rights"),
        (
            "Basic realm=\"x, y\", Bearer error=\"invalid_request\"",
            "the request is invalid",
        ),
    ] {
        let api = Api::new(move |_| (Duration::ZERO, challenge(401, text)));
        let (provider, calls) = numbered(Duration::ZERO);
        let service = only_api(provider).layer(api.clone());
        let response = send(&service, get()).await.unwrap();
        assert!(
            why(&response).unwrap().to_string().contains(expected),
            "{text}"
        );
        assert_eq!((api.seen().len(), calls.load(SeqCst)), (1, 1), "{text}");
    }
}

/// P19, R16: a 401 is a rejection even without a challenge that the layer understands.
#[tokio::test(start_paused = true)]
async fn a_401_is_a_rejection_whatever_its_challenge() {
    for text in [
        "",
        "Negotiate abc==",
        "Bearer",
        "Bearer realm=\"x",
        ",,,",
        "Digest qop=\"a,b\"",
    ] {
        let api = Api::new(move |seen| {
            let valid = seen.token() == Some("t2");
            (
                Duration::ZERO,
                if valid {
                    status(200)
                } else {
                    challenge(401, text)
                },
            )
        });
        let (provider, _) = numbered(Duration::ZERO);
        let service = only_api(provider).layer(api);
        assert_eq!(send(&service, get()).await.unwrap().status(), 200, "{text}");
    }
}

/// P20, R35.
#[tokio::test(start_paused = true)]
async fn errors_other_than_401_are_not_rejections() {
    for code in [400, 403, 404, 407, 419, 429, 500, 503] {
        let api = Api::new(move |_| (Duration::ZERO, challenge(code, "Bearer")));
        let (provider, calls) = numbered(Duration::ZERO);
        let service = only_api(provider).layer(api.clone());
        let response = send(&service, get()).await.unwrap();
        assert_eq!(response.status(), code);
        assert!(why(&response).is_none());
        assert_eq!((api.seen().len(), calls.load(SeqCst)), (1, 1));
    }
}

/// P20.
#[tokio::test(start_paused = true)]
async fn rejected_if_replaces_the_default() {
    let grpc = |_: StatusCode, headers: &HeaderMap| {
        headers
            .get("grpc-status")
            .is_some_and(|status| status == "16")
    };
    let api = Api::new(move |seen| {
        let mut answer = status(200);
        if seen.token() == Some("t1") {
            answer
                .headers_mut()
                .insert("grpc-status", "16".parse().unwrap());
        }
        (Duration::ZERO, answer)
    });
    let (provider, _) = numbered(Duration::ZERO);
    let service = only_api(provider).rejected_if(grpc).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert!(!response.headers().contains_key("grpc-status"));
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);

    let plain = Api::new(|_| (Duration::ZERO, status(401)));
    let (provider, _) = numbered(Duration::ZERO);
    let service = only_api(provider).rejected_if(grpc).layer(plain.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 401);
    assert_eq!(
        plain.seen().len(),
        1,
        "the predicate replaces the default of 401"
    );
}

/// P22, P23.
#[tokio::test(start_paused = true)]
async fn retry_differs_only_in_the_credential() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    let api = Api::accepting(&Valid::of(&["t2"]));
    let (provider, _) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(URL)
        .version(Version::HTTP_2)
        .header("content-length", "5")
        .header("x-many", "1")
        .header("x-many", "2")
        .body(Full::from("hello"))
        .unwrap();
    request.extensions_mut().insert(Mark(7));
    assert_eq!(send(&service, request).await.unwrap().status(), 200);

    let [first, second] = &api.seen()[..] else {
        panic!("expected two attempts")
    };
    for seen in [first, second] {
        assert_eq!(
            (&seen.method, seen.uri.to_string()),
            (&Method::POST, URL.to_owned())
        );
        assert_eq!(
            (seen.version, &seen.body[..]),
            (Version::HTTP_2, &b"hello"[..])
        );
        assert_eq!(seen.extensions.get(), Some(&Mark(7)));
        assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
    }
    let without_credential = |headers: &HeaderMap| {
        let mut headers = headers.clone();
        headers.remove("authorization");
        headers
    };
    assert_eq!(
        without_credential(&first.headers),
        without_credential(&second.headers)
    );
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}

/// P22.
#[tokio::test(start_paused = true)]
async fn query_key_is_replaced_in_the_retry() {
    let api = Api::new(|seen| {
        let new = seen.uri.query() == Some("page=2&key=k2");
        (Duration::ZERO, status(if new { 200 } else { 401 }))
    });
    let number = AtomicUsize::new(0);
    let provider = provider_fn(move |_| {
        let key = format!("k{}", number.fetch_add(1, SeqCst) + 1);
        async move { Ok(Issued::new(ApiKey::query("key", key).unwrap())) }
    });
    let service = only_api(provider).layer(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    let uris: Vec<_> = api.seen().iter().map(|seen| seen.uri.to_string()).collect();
    assert_eq!(uris, [format!("{URL}&key=k1"), format!("{URL}&key=k2")]);
}

#[tokio::test(start_paused = true)]
async fn failed_refresh_returns_the_servers_response() {
    let api = Api::accepting(&Valid::default());
    let service = only_api(scripted(&["t1"])).layer(api.clone());
    for remembered in [false, true] {
        let response = send(&service, get()).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
        match why(&response) {
            Some(NotRetried::RefreshFailed(error)) => assert_eq!(error.is_backoff(), remembered),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "answer 401"
        );
    }
    assert_eq!(api.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_retries_a_rejection_still_starts_a_refresh() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let (provider, _) = numbered(Duration::from_millis(10));
    let service = only_api(provider).retry(false).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(why(&response), Some(NotRetried::RetriesDisabled)));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}

/// A body with a value through which a test observes or controls its copies.
#[derive(Clone, Default)]
struct Carrying<T>(Full<Bytes>, T);

impl<T: Unpin> http_body::Body for Carrying<T> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

/// The step that reveals that a body cannot be sent twice.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    BeforeItIsSent,
    AtTheRejection,
    AtTheRetry,
}

impl CloneBody for Carrying<Shows> {
    fn try_clone_body(&self) -> Option<Self> {
        (self.1 != Shows::BeforeItIsSent).then(|| self.clone())
    }

    fn can_replay(&self) -> bool {
        self.1 != Shows::AtTheRejection
    }

    fn take_over(&mut self) -> bool {
        false
    }
}

fn upload(shows: Shows) -> Request<Carrying<Shows>> {
    Request::put(URL)
        .body(Carrying(Full::from("data"), shows))
        .unwrap()
}

/// Rule 6: the request does not wait for a refresh that cannot help it.
#[tokio::test(start_paused = true)]
async fn non_replayable_body_is_sent_once_and_starts_a_refresh() {
    for shows in [Shows::BeforeItIsSent, Shows::AtTheRejection] {
        let start = Instant::now();
        let api = Api::accepting(&Valid::of(&["t2"]));
        let (provider, _) = numbered(Duration::from_millis(10));
        let service = only_api(provider).layer(api.clone());
        let response = send(&service, upload(shows)).await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(matches!(
            why(&response),
            Some(NotRetried::BodyNotReplayable)
        ));
        assert_eq!(start.elapsed(), Duration::from_millis(10));
        sleep(Duration::from_millis(20)).await;
        assert_eq!(send(&service, upload(shows)).await.unwrap().status(), 200);
        assert_eq!(api.seen().len(), 2);
    }
}

/// Rule 6: during the refresh, the first attempt continues to read the body, and may read more than
/// can be replayed.
#[tokio::test(start_paused = true)]
async fn body_lost_before_the_retry_is_not_sent_again() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let (provider, _) = numbered(Duration::from_millis(10));
    let service = only_api(provider).layer(api.clone());
    let response = send(&service, upload(Shows::AtTheRetry)).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(
        why(&response),
        Some(NotRetried::BodyNotReplayable)
    ));
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "answer 401"
    );
    assert_eq!(api.seen().len(), 1);
}

/// A credential that signs with a nonce from the server's 401, like DPoP.
#[derive(Clone)]
struct Signs {
    secret: &'static str,
    nonce: Arc<AtomicBool>,
}

impl Credential for Signs {
    const HANDLES_CHALLENGES: bool = true;

    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        let nonce = if self.nonce.load(SeqCst) {
            "with"
        } else {
            "without"
        };
        let value = format!("Signed {} {nonce}", self.secret).parse()?;
        request.insert_header(&http::header::AUTHORIZATION, value);
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.secret == other.secret
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        assert_eq!(response.uri(), URL);
        assert!(response.request_headers()["authorization"].is_sensitive());
        let asked = response.headers().contains_key("nonce");
        if asked {
            self.nonce.store(true, SeqCst);
        }
        asked
    }
}

/// Rule 6.
#[tokio::test(start_paused = true)]
async fn request_is_resent_without_a_refresh_after_a_challenge() {
    let api = Api::new(|seen| {
        let answer = match seen.headers["authorization"].to_str().unwrap() {
            "Signed s2 with" => status(200),
            signed if signed.ends_with("with") => status(401),
            _ => {
                let mut answer = status(401);
                answer.headers_mut().insert("nonce", "n".parse().unwrap());
                answer
            }
        };
        (Duration::ZERO, answer)
    });
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let provider = provider_fn(move |_| {
        let secret = ["s1", "s2"][counter.fetch_add(1, SeqCst)];
        async move {
            Ok(Issued::new(Signs {
                secret,
                nonce: Arc::default(),
            }))
        }
    });
    let service = only_api(provider).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 200);
    let signed: Vec<_> = api
        .seen()
        .iter()
        .map(|seen| seen.headers["authorization"].clone())
        .collect();
    // Each credential answers one challenge. The refresh and its retry come in between.
    assert_eq!(
        signed,
        [
            "Signed s1 without",
            "Signed s1 with",
            "Signed s2 without",
            "Signed s2 with"
        ]
    );
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 6: a server that always sends a challenge does not cause a loop.
#[tokio::test(start_paused = true)]
async fn challenge_is_answered_once_per_credential() {
    let api = Api::new(|_| {
        let mut answer = status(401);
        answer.headers_mut().insert("nonce", "n".parse().unwrap());
        (Duration::ZERO, answer)
    });
    let provider = provider_fn(|_| async {
        Ok::<_, ProviderError>(Issued::permanent(Signs {
            secret: "s",
            nonce: Arc::default(),
        }))
    });
    let service = only_api(provider).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(api.seen().len(), 2);
}

/// A server can request a nonce with a status that is not a rejection. That does not
/// mean that the credential is invalid, however often the server requests a nonce.
#[tokio::test(start_paused = true)]
async fn challenge_without_rejection_never_starts_a_refresh() {
    let api = Api::new(|_| {
        let mut answer = status(400);
        answer.headers_mut().insert("nonce", "n".parse().unwrap());
        (Duration::ZERO, answer)
    });
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let provider = provider_fn(move |_| {
        counter.fetch_add(1, SeqCst);
        let nonce = Arc::default();
        async { Ok::<_, ProviderError>(Issued::new(Signs { secret: "s", nonce })) }
    });
    let service = only_api(provider).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!((response.status().as_u16(), api.seen().len()), (400, 2));
    assert!(why(&response).is_none());
    assert_eq!(calls.load(SeqCst), 1);
}

/// Counts the copies of the body.
impl CloneBody for Carrying<Arc<AtomicUsize>> {
    fn try_clone_body(&self) -> Option<Self> {
        self.1.fetch_add(1, SeqCst);
        Some(self.clone())
    }
}

/// The copy for a retry is the largest single cost of a request.
#[tokio::test(start_paused = true)]
async fn a_request_is_copied_only_if_a_retry_is_possible() {
    let copies = async |layer: AuthLayer<BoxProvider<Bearer>>| {
        let api = Api::new(|_| (Duration::ZERO, status(200)));
        let body = Carrying::<Arc<AtomicUsize>>::default();
        let copies = Arc::clone(&body.1);
        let request = Request::post(URL).body(body).unwrap();
        layer.layer(api).oneshot(request).await.unwrap();
        copies.load(SeqCst)
    };
    let changing = || numbered(Duration::ZERO).0.boxed();
    assert_eq!(copies(only_api(changing())).await, 1);
    assert_eq!(copies(only_api(changing()).retry(false)).await, 0);
    assert_eq!(copies(only_api(bearer("t").boxed())).await, 0);
}

/// A request with its own credential is never retried. Keeping a copy would make a streaming body
/// record the data that it reads.
#[tokio::test(start_paused = true)]
async fn request_with_its_own_credential_keeps_no_copy_after_a_wait() {
    let provider = provider_fn(|_| async {
        let token = Bearer::new("t").unwrap().header_name("x-token").unwrap();
        Ok::<_, ProviderError>(Issued::new(token).expires_in(Duration::from_secs(60)))
    });
    // This API drops the request and never responds.
    let api = service_fn(|_: Request<Carrying<Arc<AtomicUsize>>>| {
        pending::<Result<Response<Full<Bytes>>, BoxError>>()
    });
    let body = Carrying::<Arc<AtomicUsize>>::default();
    let copies = Arc::clone(&body.1);
    let request = Request::post(URL).header("x-token", "own").body(body);
    let mut sending = pin!(only_api(provider).layer(api).oneshot(request.unwrap()));
    let waited = timeout(Duration::from_secs(1), &mut sending).await;
    assert!(waited.is_err());
    assert_eq!(copies.load(SeqCst), 1);
    assert_eq!(Arc::strong_count(&copies), 1);
}
