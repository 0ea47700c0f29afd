//! An API with its own login endpoint: a login with a password, then single-use refresh tokens. The
//! requests that the server receives are printed.
//!
//! `cargo run --example password_login`

#[path = "support/serve.rs"]
mod serve;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{LoginRequired, PasswordLogin},
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = Arc::new(Mutex::new(Server::default()));
    let base = serve::serve({
        let server = Arc::clone(&server);
        move |request| std::future::ready(server.lock().unwrap().handle(&request))
    });
    let base = format!("http://{}", base.await?);

    let provider = PasswordLogin::builder(
        format!("{base}/auth/password"),
        format!("{base}/auth/refresh"),
    )
    .credentials("alice", "correct horse")
    .http(Client::builder(TokioExecutor::new()).build_http())
    .build()?;
    // To send one credential to several production hosts, but never to staging, use:
    // Origins::only("https://*.services.simacan.com")?
    //     .except(["https://*-stg.services.simacan.com"])?
    let layer = AuthLayer::new(provider.clone(), Origins::only(&base)?);
    let handle = layer.handle();
    let client = ServiceBuilder::new().layer(layer).service(
        // 1,000 calls share one connection, because many systems limit the number of open files.
        Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http(),
    );
    // Makes this many concurrent calls, and returns how many succeeded.
    let calls = async |count: usize| {
        let call = |_| async {
            let request = Request::get(format!("{base}/trips")).body(Empty::<Bytes>::new())?;
            let response = client.clone().ready().await?.call(request).await?;
            Ok::<_, BoxError>(response.status().is_success())
        };
        let responses = join_all((0..count).map(call)).await;
        responses
            .iter()
            .filter(|succeeded| matches!(succeeded, Ok(true)))
            .count()
    };

    println!("1,000 concurrent calls, before there is a token:");
    assert_eq!(calls(1000).await, 1000);

    println!("the server revokes the access token:");
    server.lock().unwrap().access_token.clear();
    assert_eq!(calls(1000).await, 1000);

    println!("the server revokes the refresh token too:");
    server.lock().unwrap().access_token.clear();
    server.lock().unwrap().refresh_token.clear();
    assert_eq!(calls(1000).await, 1000);

    println!("the password was changed:");
    server.lock().unwrap().access_token.clear();
    server.lock().unwrap().refresh_token.clear();
    server.lock().unwrap().password = "battery staple";
    assert_eq!(calls(1000).await, 0);
    let status = handle.status();
    let (_, error) = status.failing().ok_or("the refresh did not fail")?;
    println!("  {error:#}");
    let login = error
        .provider_error()
        .and_then(|error| error.get_ref().downcast_ref());
    assert!(login.is_some_and(LoginRequired::is_password_refused));

    println!("nothing is sent until the program has the new password:");
    assert_eq!(calls(1000).await, 0);
    provider.set_credentials("alice", "battery staple");
    handle.resume();
    assert_eq!(calls(1000).await, 1000);

    let seen = [
        "POST /auth/password",
        "POST /auth/refresh",
        "POST /auth/refresh (401)",
        "POST /auth/password",
        "POST /auth/refresh (401)",
        "POST /auth/password (401)",
        "POST /auth/password",
    ];
    assert_eq!(server.lock().unwrap().seen, seen);
    Ok(())
}

/// The server.
struct Server {
    password: &'static str,
    access_token: String,
    refresh_token: String,
    issued: usize,
    seen: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            password: "correct horse",
            access_token: String::new(),
            refresh_token: String::new(),
            issued: 0,
            seen: Vec::new(),
        }
    }
}

impl Server {
    fn handle(&mut self, request: &Request<String>) -> Response<String> {
        let path = request.uri().path();
        // Each form has exactly these fields.
        let accepted = match path {
            "/auth/password" => {
                let password = self.password.replace(' ', "%20");
                *request.body() == format!("username=alice&password={password}")
            }
            "/auth/refresh" => {
                !self.refresh_token.is_empty()
                    && *request.body() == format!("refresh_token={}", self.refresh_token)
            }
            _ => {
                let header = request.headers().get("authorization");
                let expected = format!("Bearer {}", self.access_token);
                let known = header.is_some_and(|value| *value == expected);
                return serve::response(if known { 200 } else { 401 }, "");
            }
        };
        let refused = if accepted { "" } else { " (401)" };
        let line = format!("{} {path}{refused}", request.method());
        println!("  {line}");
        self.seen.push(line);
        if !accepted {
            return serve::response(401, "");
        }
        self.issued += 1;
        self.access_token = format!("access-{}", self.issued);
        self.refresh_token = format!("refresh-{}", self.issued);
        let body = format!(
            r#"{{"access_token":"{}","refresh_token":"{}","token_type":"bearer","expires_in":3600}}"#,
            self.access_token, self.refresh_token
        );
        serve::response(200, body)
    }
}
