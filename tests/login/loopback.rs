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

/// A log-in that has begun: where the browser was sent, and what comes of it.
struct Begun {
    host: String,
    path: String,
    state: String,
    result: JoinHandle<Result<TokenSet, LoginError>>,
}

async fn begin<F: LoginFlow + 'static>(loopback: Loopback, flow: F) -> Begun {
    let (sender, opened) = oneshot::channel();
    let loopback = loopback.open_with(move |url| {
        sender
            .send(url.to_owned())
            .map_err(|_| io::Error::other("nobody asked"))
    });
    let result = tokio::spawn(async move { loopback.log_in(&flow).await });
    let sent = query(&opened.await.unwrap());
    let (host, path) = sent["redirect_uri"]
        .strip_prefix("http://")
        .and_then(|uri| uri.split_once('/'))
        .unwrap();
    Begun {
        host: host.to_owned(),
        path: format!("/{path}"),
        state: sent["state"].clone(),
        result,
    }
}

impl Begun {
    /// Sends a request as a browser does; gives the whole answer.
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
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, query: &str) -> String {
        self.send("GET", &format!("{}?{query}", self.path), "", "")
            .await
    }
}

/// P53, R22: one answer, a page that says what happened, and the end.
#[tokio::test]
async fn a_log_in_ends_with_tokens_and_a_page() {
    let (login, asked) = client(200, TOKENS);
    let begun = begin(Loopback::new(), login).await;
    assert!(begun.host.starts_with("127.0.0.1:"));
    assert_eq!(begun.path, "/callback");

    // Browsers ask for more than they were sent to.
    let icon = begun.send("GET", "/favicon.ico", "", "").await;
    assert!(icon.starts_with("HTTP/1.1 404 "), "{icon}");
    let page = begun.get(&format!("code=c0de&state={}", begun.state)).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("<h1>You are logged in</h1>") && page.ends_with("</html>\n"));
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; ",
    ] {
        assert!(page.contains(header), "{header}");
    }
    assert!(!page.contains("c0de") && !page.contains(&begun.state));

    let tokens = begun.result.await.unwrap().unwrap();
    assert_eq!(tokens.expose_refresh_token(), Some("rt"));
    assert!(
        TcpStream::connect(&begun.host).await.is_err(),
        "it is closed"
    );
    // R10.
    let form = asked.lock().unwrap()[0].1.clone();
    let uri = format!("http://{}/callback", begun.host);
    assert!(form.contains(&("redirect_uri".to_owned(), uri)));
}

/// R22.
#[tokio::test]
async fn it_listens_on_ipv6_and_another_path() {
    let (login, _) = client(200, TOKENS);
    let begun = begin(Loopback::new().ipv6().path("/oauth/cb"), login).await;
    assert!(begun.host.starts_with("[::1]:"));
    assert_eq!(begun.path, "/oauth/cb");
    begun.get(&format!("code=c&state={}", begun.state)).await;
    assert!(begun.result.await.unwrap().is_ok());
}

/// P53: each ends with its own page.
#[tokio::test]
async fn what_went_wrong_is_told_to_the_person_and_to_the_program() {
    for (status, query, page, error) in [
        (
            200,
            "error=access_denied&state=STATE",
            "Access was denied.",
            "the log-in was denied",
        ),
        (
            200,
            "code=c&state=forged",
            "does not belong to the log-in",
            "the answer's `state` is not that of this log-in: it belongs to another attempt, or \
             is forged, and is not used",
        ),
        (
            400,
            "code=c&state=STATE",
            "The log-in did not work",
            "the token endpoint refused the request: 400 invalid_grant",
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
        let begun = begin(Loopback::new(), login).await;
        let shown = begun.get(&query.replace("STATE", &begun.state)).await;
        assert!(shown.contains(page), "{shown}");
        assert_eq!(begun.result.await.unwrap().unwrap_err().to_string(), error);
    }
}

/// P53.
#[tokio::test]
async fn a_browser_that_never_comes_back_is_not_awaited_for_ever() {
    let (login, _) = client(200, TOKENS);
    let begun = begin(Loopback::new().timeout(Duration::from_millis(50)), login).await;
    let host = begun.host.clone();
    let error = begun.result.await.unwrap().unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the browser did not come back within 0.05 s"
    );
    assert!(error.is_timeout());
    assert!(TcpStream::connect(host).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let (login, _) = client(200, TOKENS);
    let error = Loopback::new()
        .port(port)
        .open_with(|_| panic!("opened"))
        .log_in(&login)
        .await;
    let error = error.unwrap_err().to_string();
    let begin = format!("can't wait for the browser on 127.0.0.1:{port}: Address already in use");
    assert!(error.starts_with(&begin), "{error:#}");
    assert!(error.ends_with(": choose another port(..), or leave it out to get a free one"));
}

#[tokio::test]
async fn a_browser_that_cannot_be_opened_is_told() {
    let (login, _) = client(200, TOKENS);
    let open = |_: &str| Err(io::Error::other("no display"));
    let error = Loopback::new()
        .open_with(open)
        .log_in(&login)
        .await
        .unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "no browser could be opened: no display: show the address to the person with open_with(..)"
    );
    let error = Loopback::new()
        .path("cb")
        .open_with(open)
        .log_in(&login)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").starts_with("path: does not begin with `/`"),
        "{error:#}"
    );
}

/// A page elsewhere can send the browser here under another name (DNS rebinding), or post to it.
#[tokio::test]
async fn requests_that_are_not_meant_for_it_are_no_answer() {
    let (login, _) = client(200, TOKENS);
    let begun = begin(Loopback::new(), login).await;
    let target = format!("/callback?code=c&state={}", begun.state);
    let answer = begun
        .send("GET", &target, "host: evil.example\r\n", "")
        .await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = begun.send("POST", &target, "", "").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    begun.get(&format!("code=c&state={}", begun.state)).await;
    assert!(begun.result.await.unwrap().is_ok());
}

/// P54, R12: the page posts the fragment to its own origin, and nobody else may.
#[cfg(feature = "implicit")]
#[tokio::test]
async fn a_page_posts_the_fragment_to_the_listener() {
    let login = tower_auth::oauth2::Implicit::builder(crate::server::AUTHORIZE);
    let login = login.client_id("x").build().unwrap();
    let begun = begin(Loopback::new(), login).await;
    let page = begun.send("GET", "/callback", "", "").await;
    assert!(page.contains("location.hash") && page.contains("history.replaceState"));
    let nonce = page
        .split_once("script-src 'nonce-")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));

    let body = format!("access_token=t&token_type=bearer&state={}", begun.state);
    for origin in ["", "origin: https://evil.example\r\n", "origin: null\r\n"] {
        let answer = begun.send("POST", "/callback", origin, &body).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }
    let origin = format!("origin: http://{}\r\n", begun.host);
    let page = begun.send("POST", "/callback", &origin, &body).await;
    assert!(page.contains("You are logged in"), "{page}");
    let tokens = begun.result.await.unwrap().unwrap();
    assert_eq!(tokens.expose_access_token(), Some("t"));
}

/// Many connections that say nothing keep nobody out.
#[tokio::test]
async fn idle_connections_do_not_delay_the_log_in() {
    let (login, _) = client(200, TOKENS);
    let begun = begin(Loopback::new(), login).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(&begun.host).await.unwrap());
    }
    let started = tokio::time::Instant::now();
    begun.get(&format!("code=c&state={}", begun.state)).await;
    assert!(begun.result.await.unwrap().is_ok());
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "the page was not awaited in vain"
    );
}
