//! What follows from a rejection: one refresh, one retry, or the server's own answer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, ServiceExt};
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
async fn a_thousand_requests_rejected_together_cause_one_refresh_and_no_401_is_seen() {
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
async fn a_late_rejection_of_an_old_generation_is_retried_with_the_new_one_without_a_refresh() {
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

/// Rule 7, P16, R34.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_always_rejected_is_refreshed_once_and_then_seldom() {
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

/// Rule 7: a rejected retry disturbs the 30 s that a credential has to stay unrejected.
#[tokio::test(start_paused = true)]
async fn the_rejection_of_a_retry_counts_when_it_comes() {
    let api = Api::new(|_| (Duration::from_secs(20), status(401)));
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api);
    send(&service, get()).await.unwrap();
    // The second token is 40 s old when it is rejected once more, and was rejected 20 s before.
    let response = send(&service, get()).await.unwrap();
    assert!(matches!(
        why(&response),
        Some(NotRetried::TooManyRejections { .. })
    ));
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 7, P16: an acceptance on another route is no reason to go on refreshing.
#[tokio::test(start_paused = true)]
async fn a_route_that_always_rejects_does_not_refresh_for_ever_though_another_accepts() {
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
    // About three seconds have passed: the first token, five refreshes, and two in the backoff.
    assert!(calls.load(SeqCst) <= 8, "{calls:?}");
}

/// Rule 7: neither a server in trouble nor a proxy before it has looked at the token.
#[tokio::test(start_paused = true)]
async fn an_answer_of_somebody_who_has_not_seen_the_token_is_no_acceptance() {
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
async fn a_refresh_that_brings_the_rejected_token_again_leads_to_no_retry() {
    let api = Api::accepting(&Valid::default());
    let service = only_api(scripted(&["same", "same"])).layer(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(why(&response), Some(NotRetried::SameCredential)));
    assert_eq!(api.seen().len(), 1);
}

/// P18, R19.
#[tokio::test(start_paused = true)]
async fn the_401_of_a_credential_that_never_changes_is_returned_untouched() {
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
async fn a_complaint_that_a_new_token_does_not_mend_leads_to_no_refresh() {
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

/// P19, R16: no challenge, or none that is understood, is a rejection all the same.
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
async fn other_errors_than_401_are_no_rejections() {
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
async fn a_predicate_names_other_rejections() {
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
    assert_eq!(plain.seen().len(), 1, "the predicate stands instead of 401");
}

/// P22, P23.
#[tokio::test(start_paused = true)]
async fn a_retry_is_the_same_request_but_for_the_credential() {
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
        panic!("two sendings")
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
async fn a_key_in_the_query_is_replaced_in_the_retry_not_appended() {
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
async fn a_refresh_that_fails_gives_the_caller_the_servers_own_answer() {
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
async fn without_retries_a_rejection_still_renews_the_token_for_those_who_come_next() {
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

/// A body, and what a test wants to know of its copies or to do with them.
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

/// The moment that shows that a body cannot be sent twice.
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

/// Rule 6. Nobody waits for a refresh that is of no use to the request.
#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_sent_again_is_sent_once_and_the_token_renewed() {
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

/// Rule 6: while the refresh runs, the first sending goes on reading the body, and may read more
/// than can be replayed.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_gone_by_the_time_of_the_retry_is_not_sent_again() {
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

/// A credential that signs with a nonce, which a server gives in a 401 (as DPoP does).
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
async fn a_credential_that_answers_a_challenge_is_sent_again_without_a_refresh() {
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
    // Each credential answers once; in between lies the one retry after the one refresh.
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

/// Rule 6: a server that always asks does not get a loop.
#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_once_for_each_credential() {
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

/// A nonce can be asked for with another status than that of a rejection: nothing is wrong with the
/// credential then, however often it is asked for.
#[tokio::test(start_paused = true)]
async fn a_challenge_that_is_no_rejection_never_leads_to_a_refresh() {
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

/// Counts its copies.
impl CloneBody for Carrying<Arc<AtomicUsize>> {
    fn try_clone_body(&self) -> Option<Self> {
        self.1.fetch_add(1, SeqCst);
        Some(self.clone())
    }
}

/// The copy for a retry is the largest single cost, so it is made only where there can be one.
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
