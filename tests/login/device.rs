//! Device codes (RFC 8628), on paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower_auth::{
    BoxError,
    oauth2::{Builder, DeviceAuthorization, DeviceCode, LoginError, ServerMetadata},
    store::TokenSet,
};

use crate::server::{TOKEN, TOKENS, pairs};

const DEVICE: &str = "https://login.example.com/device";
const CODE: &str = r#"{"device_code":"hidden","user_code":"WDJB-MJHT",
    "verification_uri":"https://login.example.com/activate",
    "verification_uri_complete":"https://login.example.com/activate?user_code=WDJB-MJHT",
    "expires_in":300,"interval":5}"#;
const PENDING: Answer = refused("authorization_pending");
const SLOW_DOWN: Answer = refused("slow_down");

#[derive(Clone, Copy)]
enum Answer {
    Body(u16, &'static str),
    Refused(&'static str),
    /// With `Retry-After`.
    Busy(&'static str),
    Break,
    Hang,
}

const fn refused(code: &'static str) -> Answer {
    Answer::Refused(code)
}

/// A server with these answers, in turn; the last one again and again.
#[derive(Clone)]
struct Server(Arc<Mutex<State>>);

struct State {
    answers: VecDeque<Answer>,
    /// When the token endpoint was asked, in seconds from the start.
    asked_at: Vec<u64>,
    forms: Vec<Vec<(String, String)>>,
    start: Instant,
}

impl Server {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new(State {
            answers: answers.into_iter().collect(),
            asked_at: Vec::new(),
            forms: Vec::new(),
            start: Instant::now(),
        })))
    }

    /// A public client.
    fn client(&self) -> Builder<DeviceCode> {
        let server = self.clone();
        let http = tower::service_fn(move |request| server.clone().answer(request));
        DeviceCode::builder(DEVICE, TOKEN)
            .client_id("my app")
            .scopes(["read", "write"])
            .param("audience", "api")
            .http(http)
    }

    async fn answer(
        self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let is_poll = head.uri == TOKEN;
        let answer = {
            let mut state = self.0.lock().unwrap();
            if is_poll {
                let at = state.start.elapsed().as_secs();
                state.asked_at.push(at);
            }
            state.forms.push(pairs(std::str::from_utf8(&body)?));
            match state.answers.len() {
                1 => state.answers[0],
                _ => state.answers.pop_front().unwrap(),
            }
        };
        let response = |status: u16| Response::builder().status(status);
        match answer {
            Answer::Body(status, body) => Ok(response(status).body(Full::from(body))?),
            Answer::Refused(code) => {
                let body = format!(r#"{{"error":"{code}"}}"#);
                Ok(response(400).body(Full::from(body))?)
            }
            Answer::Busy(wait) => {
                let response = response(503).header("retry-after", wait);
                Ok(response.body(Full::default())?)
            }
            Answer::Break => Err("connection reset".into()),
            Answer::Hang => std::future::pending().await,
        }
    }

    fn asked_at(&self) -> Vec<u64> {
        self.0.lock().unwrap().asked_at.clone()
    }

    fn forms(&self) -> Vec<Vec<(String, String)>> {
        self.0.lock().unwrap().forms.clone()
    }
}

/// A log-in at a server that gives a code, and then answers so.
async fn log_in(
    code: &'static str,
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<TokenSet, LoginError>, Server) {
    let code = Answer::Body(200, code);
    let server = Server::new([code].into_iter().chain(answers));
    let login = server.client().build().unwrap();
    let attempt = login.start().await.unwrap();
    (login.finish(attempt).await, server)
}

async fn start(answer: Answer) -> Result<DeviceAuthorization, LoginError> {
    let login = Server::new([answer]).client().build().unwrap();
    login.start().await
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test(start_paused = true)]
async fn the_person_is_shown_a_code_and_its_confirmation_brings_tokens() {
    let server = Server::new([
        Answer::Body(200, CODE),
        PENDING,
        PENDING,
        Answer::Body(200, TOKENS),
    ]);
    let login = server.client().build().unwrap();
    let attempt = login.start().await.unwrap();
    assert_eq!(attempt.user_code(), "WDJB-MJHT");
    assert_eq!(
        attempt.verification_uri(),
        "https://login.example.com/activate"
    );
    assert_eq!(
        attempt.verification_uri_complete(),
        Some("https://login.example.com/activate?user_code=WDJB-MJHT")
    );
    assert_eq!(attempt.time_left(), Duration::from_secs(300));
    let shown = format!("{attempt:?} {login:?}");
    assert!(
        !shown.contains("hidden") && !shown.contains("WDJB"),
        "{shown}"
    );

    let tokens = login.finish(attempt).await.unwrap();
    assert_eq!(tokens.expose_access_token(), Some("at"));
    assert_eq!(tokens.expose_refresh_token(), Some("rt"));
    assert_eq!(tokens.scope(), Some("read write"));
    assert_eq!(server.asked_at(), [5, 10, 15]);
    let device = [
        ("scope", "read write"),
        ("audience", "api"),
        ("client_id", "my app"),
    ];
    let token = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("audience", "api"),
        ("device_code", "hidden"),
        ("client_id", "my app"),
    ];
    assert_eq!(server.forms()[..2], [form(&device), form(&token)]);
    login.session().initial_tokens(tokens).build().unwrap();
}

/// RFC 8628 3.5: for this request and all that follow.
#[tokio::test(start_paused = true)]
async fn slow_down_makes_all_pauses_5_s_longer() {
    let answers = [
        PENDING,
        SLOW_DOWN,
        PENDING,
        SLOW_DOWN,
        PENDING,
        Answer::Body(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, answers).await;
    tokens.unwrap();
    assert_eq!(server.asked_at(), [5, 10, 20, 30, 45, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_network_in_trouble_is_given_longer_pauses_and_then_the_usual_ones() {
    let answers = [
        Answer::Break,
        Answer::Break,
        Answer::Break,
        PENDING,
        Answer::Body(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, answers).await;
    tokens.unwrap();
    assert_eq!(server.asked_at(), [5, 15, 35, 75, 80]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_given_up() {
    let (tokens, server) = log_in(CODE, [Answer::Hang, Answer::Body(200, TOKENS)]).await;
    tokens.unwrap();
    assert_eq!(server.asked_at(), [5, 45]);
}

/// And not without bound.
#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_as_long_as_it_says() {
    let (tokens, server) = log_in(CODE, [Answer::Busy("40"), Answer::Body(200, TOKENS)]).await;
    tokens.unwrap();
    assert_eq!(server.asked_at(), [5, 45]);
    let (tokens, _) = log_in(CODE, [Answer::Busy("18446744073709551615")]).await;
    assert!(tokens.unwrap_err().is_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_code_that_nobody_confirms_is_given_up_when_it_expires() {
    let (tokens, server) = log_in(CODE, [PENDING]).await;
    let error = tokens.unwrap_err();
    assert!(error.is_timeout() && !error.is_denied());
    assert_eq!(
        format!("{error:#}"),
        "the code has expired before it was confirmed: start again"
    );
    assert_eq!(server.asked_at().last(), Some(&295));

    let (tokens, _) = log_in(CODE, [Answer::Break]).await;
    let error = tokens.unwrap_err();
    assert!(
        error.is_timeout() && format!("{error:#}").contains("connection reset"),
        "{error:#}"
    );

    let (tokens, server) = log_in(CODE, [PENDING, refused("expired_token")]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!(server.asked_at().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_says_no_ends_it() {
    let (tokens, server) = log_in(CODE, [PENDING, refused("access_denied")]).await;
    let error = tokens.unwrap_err();
    assert!(error.is_denied() && !error.is_timeout());
    assert_eq!(format!("{error:#}"), "the log-in was denied");
    assert_eq!(server.asked_at(), [5, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_another_reason_ends_it_too() {
    let (tokens, server) = log_in(CODE, [refused("invalid_grant")]).await;
    let error = tokens.unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    assert!(!error.is_denied() && !error.is_timeout());
    assert_eq!(server.asked_at(), [5]);
}

/// Servers say it with other statuses too.
#[tokio::test(start_paused = true)]
async fn the_word_counts_and_not_the_status() {
    let said = |status, body| Answer::Body(status, body);
    let answers = [
        said(200, r#"{"error":"authorization_pending"}"#),
        said(428, r#"{"error":"authorization_pending"}"#),
        said(429, r#"{"error":"slow_down"}"#),
        said(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, answers).await;
    tokens.unwrap();
    assert_eq!(server.asked_at(), [5, 10, 15, 25]);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_leaves_out_or_overdoes_has_bounds() {
    const BARE: &str =
        r#"{"device_code":"d","user_code":"u","verification_url":"https://a.example.com"}"#;
    let (tokens, server) = log_in(BARE, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!((server.asked_at()[0], server.asked_at().len()), (5, 119));

    const HASTY: &str = r#"{"device_code":"d","user_code":"u","expires_in":"10",
        "verification_uri":"http://127.0.0.1:8080/#enter","interval":0}"#;
    let (tokens, server) = log_in(HASTY, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!(server.asked_at(), (1..10).collect::<Vec<_>>());

    const ENDLESS: &str = r#"{"device_code":"d","user_code":"u","expires_in":1e300,
        "verification_uri":"https://a.example.com","interval":1e300}"#;
    let (tokens, server) = log_in(ENDLESS, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert!(server.asked_at().is_empty());
}

/// What the person sees comes from the server: terminals obey control characters, and systems open
/// whatever an address says.
#[tokio::test]
async fn what_can_not_be_shown_to_people_is_refused() {
    for answer in [
        r#"{"user_code":"u","verification_uri":"https://a.example.com"}"#,
        r#"{"device_code":"","user_code":"u","verification_uri":"https://a.example.com"}"#,
        r#"{"device_code":"hidden","verification_uri":"https://a.example.com"}"#,
        r#"{"device_code":"hidden","user_code":"u"}"#,
        r#"{"device_code":"hidden","user_code":"\u001b[2J","verification_uri":"https://a.example.com"}"#,
        r#"{"device_code":"hidden","user_code":"u","verification_uri":"https://a.example.com/\u0007"}"#,
        r#"{"device_code":"hidden","user_code":"u","verification_uri":"file:///etc/passwd"}"#,
        r#"{"device_code":"hidden","user_code":"u","verification_uri":"javascript:alert(1)"}"#,
        r#"{"device_code":"hidden","user_code":"u","verification_uri":"http://a.example.com"}"#,
        "[]",
        "",
    ] {
        let error = start(Answer::Body(200, answer)).await.unwrap_err();
        assert!(error.token_error().is_some(), "{answer}");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the device authorization endpoint"),
            "{text}"
        );
        assert!(!text.contains("hidden"), "{text}");
    }
    let odd = r#"{"device_code":"d","user_code":"u","verification_uri":"https://a.example.com",
        "verification_uri_complete":"file:///etc/passwd"}"#;
    let attempt = start(Answer::Body(200, odd)).await.unwrap();
    assert_eq!(attempt.verification_uri_complete(), None);
}

#[tokio::test]
async fn a_device_endpoint_that_refuses_says_why() {
    let error = start(refused("unauthorized_client")).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the device authorization endpoint refused the request: 400 unauthorized_client: the \
         server denies this client this grant"
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let server = Server::new([PENDING]);
    let http = tower::service_fn(move |request| server.clone().answer(request));
    let new = |device: &str| DeviceCode::builder(device, TOKEN).http(http.clone());
    let field = |builder: Builder<DeviceCode>| builder.build().unwrap_err().field().to_owned();
    assert_eq!(field(new(DEVICE)), "client_id");
    assert_eq!(
        field(new("http://login.example.com/device").client_id("me")),
        "device_url"
    );
    assert_eq!(
        field(new(DEVICE).client_id("me").param("device_code", "x")),
        "param"
    );
}

#[tokio::test]
async fn a_server_that_describes_itself_names_its_device_endpoint() {
    let about = async |device: &'static str| {
        let said = Answer::Body(200, device);
        let server = Server::new([said, Answer::Body(200, CODE)]);
        let asked = server.clone();
        let http = tower::service_fn(move |request| server.clone().answer(request));
        let metadata = ServerMetadata::fetch("https://login.example.com", http)
            .await
            .unwrap();
        (
            metadata.builder::<DeviceCode>().client_id("me").build(),
            asked,
        )
    };
    let (login, server) = about(
        r#"{"issuer":"https://login.example.com","token_endpoint":"https://login.example.com/token",
            "device_authorization_endpoint":"https://login.example.com/device"}"#,
    )
    .await;
    login.unwrap().start().await.unwrap();
    assert_eq!(server.forms()[1], form(&[("client_id", "me")]));
    let (login, _) = about(
        r#"{"issuer":"https://login.example.com","token_endpoint":"https://login.example.com/token"}"#,
    )
    .await;
    assert_eq!(login.unwrap_err().field(), "device_url");
}
