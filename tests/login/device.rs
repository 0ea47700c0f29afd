//! Device codes (RFC 8628), with paused time.

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
const PENDING: Reply = refused("authorization_pending");
const SLOW_DOWN: Reply = refused("slow_down");

#[derive(Clone, Copy)]
enum Reply {
    Body(u16, &'static str),
    Refused(&'static str),
    /// Responds with 503 and this `Retry-After`.
    Busy(&'static str),
    Break,
    Hang,
}

const fn refused(code: &'static str) -> Reply {
    Reply::Refused(code)
}

/// A server that returns these replies in order, and repeats the last one.
#[derive(Clone)]
struct Server(Arc<Mutex<State>>);

struct State {
    replies: VecDeque<Reply>,
    /// When the token endpoint was polled, in seconds from the start.
    polled_at: Vec<u64>,
    forms: Vec<Vec<(String, String)>>,
    start: Instant,
}

impl Server {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self(Arc::new(Mutex::new(State {
            replies: replies.into_iter().collect(),
            polled_at: Vec::new(),
            forms: Vec::new(),
            start: Instant::now(),
        })))
    }

    /// Returns a builder for a public client.
    fn client(&self) -> Builder<DeviceCode> {
        let server = self.clone();
        let http = tower::service_fn(move |request| server.clone().reply(request));
        DeviceCode::builder(DEVICE, TOKEN)
            .client_id("my app")
            .scopes(["read", "write"])
            .param("audience", "api")
            .http(http)
    }

    async fn reply(self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let is_poll = head.uri == TOKEN;
        let reply = {
            let mut state = self.0.lock().unwrap();
            if is_poll {
                let at = state.start.elapsed().as_secs();
                state.polled_at.push(at);
            }
            state.forms.push(pairs(std::str::from_utf8(&body)?));
            match state.replies.len() {
                1 => state.replies[0],
                _ => state.replies.pop_front().unwrap(),
            }
        };
        let response = |status: u16| Response::builder().status(status);
        match reply {
            Reply::Body(status, body) => Ok(response(status).body(Full::from(body))?),
            Reply::Refused(code) => {
                let body = format!(r#"{{"error":"{code}"}}"#);
                Ok(response(400).body(Full::from(body))?)
            }
            Reply::Busy(wait) => {
                let response = response(503).header("retry-after", wait);
                Ok(response.body(Full::default())?)
            }
            Reply::Break => Err("connection reset".into()),
            Reply::Hang => std::future::pending().await,
        }
    }

    fn polled_at(&self) -> Vec<u64> {
        self.0.lock().unwrap().polled_at.clone()
    }

    fn forms(&self) -> Vec<Vec<(String, String)>> {
        self.0.lock().unwrap().forms.clone()
    }
}

/// Logs in at a server that issues a code and then returns these replies.
async fn log_in(
    code: &'static str,
    replies: impl IntoIterator<Item = Reply>,
) -> (Result<TokenSet, LoginError>, Server) {
    let code = Reply::Body(200, code);
    let server = Server::new([code].into_iter().chain(replies));
    let login = server.client().build().unwrap();
    let authorization = login.start().await.unwrap();
    (login.finish(authorization).await, server)
}

async fn start(reply: Reply) -> Result<DeviceAuthorization, LoginError> {
    let login = Server::new([reply]).client().build().unwrap();
    login.start().await
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_code_yields_tokens() {
    let server = Server::new([
        Reply::Body(200, CODE),
        PENDING,
        PENDING,
        Reply::Body(200, TOKENS),
    ]);
    let login = server.client().build().unwrap();
    let authorization = login.start().await.unwrap();
    assert_eq!(authorization.user_code(), "WDJB-MJHT");
    assert_eq!(
        authorization.verification_uri(),
        "https://login.example.com/activate"
    );
    assert_eq!(
        authorization.verification_uri_complete(),
        Some("https://login.example.com/activate?user_code=WDJB-MJHT")
    );
    assert_eq!(authorization.time_left(), Duration::from_secs(300));
    let shown = format!("{authorization:?} {login:?}");
    assert!(
        !shown.contains("hidden") && !shown.contains("WDJB"),
        "{shown}"
    );

    let tokens = login.finish(authorization).await.unwrap();
    assert_eq!(tokens.expose_access_token(), Some("at"));
    assert_eq!(tokens.expose_refresh_token(), Some("rt"));
    assert_eq!(tokens.scope(), Some("read write"));
    assert_eq!(server.polled_at(), [5, 10, 15]);
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

/// RFC 8628 3.5: the longer interval applies to all later requests.
#[tokio::test(start_paused = true)]
async fn slow_down_adds_5_s_to_the_interval() {
    let replies = [
        PENDING,
        SLOW_DOWN,
        PENDING,
        SLOW_DOWN,
        PENDING,
        Reply::Body(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, replies).await;
    tokens.unwrap();
    assert_eq!(server.polled_at(), [5, 10, 20, 30, 45, 60]);
}

#[tokio::test(start_paused = true)]
async fn network_failures_back_off_until_the_server_responds() {
    let replies = [
        Reply::Break,
        Reply::Break,
        Reply::Break,
        PENDING,
        Reply::Body(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, replies).await;
    tokens.unwrap();
    assert_eq!(server.polled_at(), [5, 15, 35, 75, 80]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_poll_times_out() {
    let (tokens, server) = log_in(CODE, [Reply::Hang, Reply::Body(200, TOKENS)]).await;
    tokens.unwrap();
    assert_eq!(server.polled_at(), [5, 45]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honored_up_to_a_bound() {
    let (tokens, server) = log_in(CODE, [Reply::Busy("40"), Reply::Body(200, TOKENS)]).await;
    tokens.unwrap();
    assert_eq!(server.polled_at(), [5, 45]);
    let (tokens, _) = log_in(CODE, [Reply::Busy("18446744073709551615")]).await;
    assert!(tokens.unwrap_err().is_timeout());
}

#[tokio::test(start_paused = true)]
async fn polling_stops_when_the_code_expires() {
    let (tokens, server) = log_in(CODE, [PENDING]).await;
    let error = tokens.unwrap_err();
    assert!(error.is_timeout() && !error.is_denied());
    assert_eq!(
        format!("{error:#}"),
        "the device code expired before the user confirmed it: start the login again"
    );
    assert_eq!(server.polled_at().last(), Some(&295));

    let (tokens, _) = log_in(CODE, [Reply::Break]).await;
    let error = tokens.unwrap_err();
    assert!(
        error.is_timeout() && format!("{error:#}").contains("connection reset"),
        "{error:#}"
    );

    let (tokens, server) = log_in(CODE, [PENDING, refused("expired_token")]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!(server.polled_at().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn denial_by_the_user_ends_the_login() {
    let (tokens, server) = log_in(CODE, [PENDING, refused("access_denied")]).await;
    let error = tokens.unwrap_err();
    assert!(error.is_denied() && !error.is_timeout());
    assert_eq!(format!("{error:#}"), "the login was denied");
    assert_eq!(server.polled_at(), [5, 10]);
}

#[tokio::test(start_paused = true)]
async fn any_other_refusal_ends_the_login() {
    let (tokens, server) = log_in(CODE, [refused("invalid_grant")]).await;
    let error = tokens.unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    assert!(!error.is_denied() && !error.is_timeout());
    assert_eq!(server.polled_at(), [5]);
}

/// Some servers use other statuses.
#[tokio::test(start_paused = true)]
async fn the_error_code_decides_not_the_status() {
    let reply = |status, body| Reply::Body(status, body);
    let replies = [
        reply(200, r#"{"error":"authorization_pending"}"#),
        reply(428, r#"{"error":"authorization_pending"}"#),
        reply(429, r#"{"error":"slow_down"}"#),
        reply(200, TOKENS),
    ];
    let (tokens, server) = log_in(CODE, replies).await;
    tokens.unwrap();
    assert_eq!(server.polled_at(), [5, 10, 15, 25]);
}

#[tokio::test(start_paused = true)]
async fn missing_and_extreme_values_have_bounds() {
    const BARE: &str =
        r#"{"device_code":"d","user_code":"u","verification_url":"https://a.example.com"}"#;
    let (tokens, server) = log_in(BARE, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!((server.polled_at()[0], server.polled_at().len()), (5, 119));

    const HASTY: &str = r#"{"device_code":"d","user_code":"u","expires_in":"10",
        "verification_uri":"http://127.0.0.1:8080/#enter","interval":0}"#;
    let (tokens, server) = log_in(HASTY, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert_eq!(server.polled_at(), (1..10).collect::<Vec<_>>());

    const ENDLESS: &str = r#"{"device_code":"d","user_code":"u","expires_in":1e300,
        "verification_uri":"https://a.example.com","interval":1e300}"#;
    let (tokens, server) = log_in(ENDLESS, [PENDING]).await;
    assert!(tokens.unwrap_err().is_timeout());
    assert!(server.polled_at().is_empty());
}

/// The texts come from the server. Terminals obey control characters, and systems open any URL.
#[tokio::test]
async fn server_text_that_is_unsafe_to_show_is_refused() {
    for reply in [
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
        let error = start(Reply::Body(200, reply)).await.unwrap_err();
        assert!(error.token_error().is_some(), "{reply}");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the login failed: the device authorization "),
            "{text}"
        );
        assert!(!text.contains("hidden"), "{text}");
    }
    let odd = r#"{"device_code":"d","user_code":"u","verification_uri":"https://a.example.com",
        "verification_uri_complete":"file:///etc/passwd"}"#;
    let authorization = start(Reply::Body(200, odd)).await.unwrap();
    assert_eq!(authorization.verification_uri_complete(), None);
}

#[tokio::test]
async fn a_refusal_by_the_device_endpoint_is_reported() {
    let error = start(refused("unauthorized_client")).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the login failed: the device authorization endpoint refused the request: 400 \
         unauthorized_client: the server does not allow this grant for this client"
    );
}

#[tokio::test]
async fn the_error_names_what_is_missing() {
    let server = Server::new([PENDING]);
    let http = tower::service_fn(move |request| server.clone().reply(request));
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
async fn the_device_endpoint_is_discovered() {
    let discover = async |metadata: &'static str| {
        let metadata = Reply::Body(200, metadata);
        let server = Server::new([metadata, Reply::Body(200, CODE)]);
        let requests = server.clone();
        let http = tower::service_fn(move |request| server.clone().reply(request));
        let metadata = ServerMetadata::fetch("https://login.example.com", http)
            .await
            .unwrap();
        (
            metadata.builder::<DeviceCode>().client_id("me").build(),
            requests,
        )
    };
    let (login, server) = discover(
        r#"{"issuer":"https://login.example.com","token_endpoint":"https://login.example.com/token",
            "device_authorization_endpoint":"https://login.example.com/device"}"#,
    )
    .await;
    login.unwrap().start().await.unwrap();
    assert_eq!(server.forms()[1], form(&[("client_id", "me")]));
    let (login, _) = discover(
        r#"{"issuer":"https://login.example.com","token_endpoint":"https://login.example.com/token"}"#,
    )
    .await;
    assert_eq!(login.unwrap_err().field(), "device_url");
}
