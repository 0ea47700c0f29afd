//! The listener on loopback (RFC 8252), over real connections.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tower_auth::{
    oauth2::{LoginError, LoginFlow, Loopback},
    store::TokenSet,
};

use crate::server::{TOKENS, client, query};

/// A login in progress: the callback that the browser was given, and the result.
struct Login {
    host: String,
    path: String,
    state: String,
    result: JoinHandle<Result<TokenSet, LoginError>>,
}

async fn start<F: LoginFlow + 'static>(loopback: Loopback, flow: F) -> Login {
    let (sender, opened) = oneshot::channel();
    let loopback = loopback.open_with(move |url| {
        sender
            .send(url.to_owned())
            .map_err(|_| io::Error::other("the test has ended"))
    });
    let result = tokio::spawn(async move { loopback.log_in(&flow).await });
    let sent = query(&opened.await.unwrap());
    let (host, path) = sent["redirect_uri"]
        .strip_prefix("http://")
        .and_then(|uri| uri.split_once('/'))
        .unwrap();
    Login {
        host: host.to_owned(),
        path: format!("/{path}"),
        state: sent["state"].clone(),
        result,
    }
}

impl Login {
    /// Sends a request as a browser does, and returns the whole response.
    async fn send(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        let host = match headers.contains("host:") {
            true => String::new(),
            false => format!("host: {}\r\n", self.host),
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\n{host}{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    async fn get(&self, query: &str) -> String {
        self.send("GET", &format!("{}?{query}", self.path), "", "")
            .await
    }
}

/// P53, R22: one callback, a page with the outcome, and the listener closes.
#[tokio::test]
async fn a_login_ends_with_tokens_and_a_page() {
    let (login, requests) = client(200, TOKENS);
    let running = start(Loopback::new(), login).await;
    assert!(running.host.starts_with("127.0.0.1:"));
    assert_eq!(running.path, "/callback");

    // Browsers also request an icon.
    let icon = running.send("GET", "/favicon.ico", "", "").await;
    assert!(icon.starts_with("HTTP/1.1 404 "), "{icon}");
    let page = running
        .get(&format!("code=c0de&state={}", running.state))
        .await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("<h1>You are logged in</h1>") && page.ends_with("</html>\n"));
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; ",
    ] {
        assert!(page.contains(header), "{header}");
    }
    assert!(!page.contains("c0de") && !page.contains(&running.state));

    let tokens = running.result.await.unwrap().unwrap();
    assert_eq!(tokens.expose_refresh_token(), Some("rt"));
    assert!(
        TcpStream::connect(&running.host).await.is_err(),
        "the listener must be closed"
    );
    // R10.
    let form = requests.lock().unwrap()[0].1.clone();
    let uri = format!("http://{}/callback", running.host);
    assert!(form.contains(&("redirect_uri".to_owned(), uri)));
}

/// R22.
#[tokio::test]
async fn it_listens_on_ipv6_and_another_path() {
    let (login, _) = client(200, TOKENS);
    let running = start(Loopback::new().ipv6().path("/oauth/cb"), login).await;
    assert!(running.host.starts_with("[::1]:"));
    assert_eq!(running.path, "/oauth/cb");
    running
        .get(&format!("code=c&state={}", running.state))
        .await;
    assert!(running.result.await.unwrap().is_ok());
}

/// P53: each failure has its own page.
#[tokio::test]
async fn a_failure_is_shown_to_the_user_and_returned() {
    for (status, query, page, error) in [
        (
            200,
            "error=access_denied&state=STATE",
            "Access was denied.",
            "the login was denied",
        ),
        (
            200,
            "code=c&state=forged",
            "does not belong to the login",
            "the `state` of the authorization response is not that of this login: the response \
             belongs to another login or is forged, and is not used",
        ),
        (
            400,
            "code=c&state=STATE",
            "The login failed",
            "the login failed: the token endpoint refused the request: 400 invalid_grant",
        ),
    ] {
        let (login, _) = client(
            status,
            if status == 200 {
                TOKENS
            } else {
                r#"{"error":"invalid_grant"}"#
            },
        );
        let running = start(Loopback::new(), login).await;
        let shown = running.get(&query.replace("STATE", &running.state)).await;
        assert!(shown.contains(page), "{shown}");
        let result = running.result.await.unwrap();
        assert_eq!(format!("{:#}", result.unwrap_err()), error);
    }
}

/// P53.
#[tokio::test]
async fn a_browser_that_never_returns_times_out() {
    let (login, _) = client(200, TOKENS);
    let running = start(Loopback::new().timeout(Duration::from_millis(50)), login).await;
    let host = running.host.clone();
    let error = running.result.await.unwrap().unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the browser did not return within 0.05 s"
    );
    assert!(error.is_timeout());
    assert!(TcpStream::connect(host).await.is_err());
}

#[tokio::test]
async fn the_error_names_a_port_that_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let (login, _) = client(200, TOKENS);
    let error = Loopback::new()
        .port(port)
        .open_with(|_| panic!("opened"))
        .log_in(&login)
        .await;
    let error = format!("{:#}", error.unwrap_err());
    let expected = format!(
        "cannot listen for the browser on 127.0.0.1:{port} (choose another port(..), or omit it to \
         use a free one): Address already in use"
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_browser_that_cannot_be_opened_is_an_error() {
    let (login, _) = client(200, TOKENS);
    let open = |_: &str| Err(io::Error::other("no display"));
    let error = Loopback::new()
        .open_with(open)
        .log_in(&login)
        .await
        .unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot open a browser (show the URL to the user with open_with(..) instead): no display"
    );
    let error = Loopback::new()
        .path("cb")
        .open_with(open)
        .log_in(&login)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").starts_with("the login cannot start: path: must start with `/`"),
        "{error:#}"
    );
}

/// A page on another site can send the browser here under another host name (DNS rebinding), or post to
/// the listener.
#[tokio::test]
async fn requests_for_other_hosts_or_methods_are_rejected() {
    let (login, _) = client(200, TOKENS);
    let running = start(Loopback::new(), login).await;
    let target = format!("/callback?code=c&state={}", running.state);
    let response = running
        .send("GET", &target, "host: evil.example\r\n", "")
        .await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    let response = running.send("POST", &target, "", "").await;
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    running
        .get(&format!("code=c&state={}", running.state))
        .await;
    assert!(running.result.await.unwrap().is_ok());
}

/// P54, R12: only a page of the same origin may post the fragment.
#[cfg(feature = "implicit")]
#[tokio::test]
async fn a_page_posts_the_fragment_to_the_listener() {
    let login = tower_auth::oauth2::Implicit::builder(crate::server::AUTHORIZE);
    let login = login.client_id("x").build().unwrap();
    let running = start(Loopback::new(), login).await;
    let page = running.send("GET", "/callback", "", "").await;
    assert!(page.contains("location.hash") && page.contains("history.replaceState"));
    let nonce = page
        .split_once("script-src 'nonce-")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));

    let body = format!("access_token=t&token_type=bearer&state={}", running.state);
    for origin in ["", "origin: https://evil.example\r\n", "origin: null\r\n"] {
        let response = running.send("POST", "/callback", origin, &body).await;
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    }
    let origin = format!("origin: http://{}\r\n", running.host);
    let page = running.send("POST", "/callback", &origin, &body).await;
    assert!(page.contains("You are logged in"), "{page}");
    let tokens = running.result.await.unwrap().unwrap();
    assert_eq!(tokens.expose_access_token(), Some("t"));
}

/// Idle connections do not block others.
#[tokio::test]
async fn idle_connections_do_not_delay_the_login() {
    let (login, _) = client(200, TOKENS);
    let running = start(Loopback::new(), login).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(&running.host).await.unwrap());
    }
    let begin = tokio::time::Instant::now();
    running
        .get(&format!("code=c&state={}", running.state))
        .await;
    assert!(running.result.await.unwrap().is_ok());
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "the login must not wait for idle connections"
    );
}
