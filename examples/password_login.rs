//! Simacan Auth API: a log-in with a password, then refresh tokens that are good for one use each.
//! What its server sees is printed as it comes.
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
    let server = Arc::new(Mutex::new(Simacan::default()));
    let base = serve::serve({
        let server = Arc::clone(&server);
        move |request| std::future::ready(server.lock().unwrap().answer(&request))
    });
    let base = format!("http://{}", base.await?);

    let provider = PasswordLogin::builder(
        format!("{base}/auth/password"),
        format!("{base}/auth/refresh"),
    )
    .credentials("alice", "correct horse")
    .http(Client::builder(TokioExecutor::new()).build_http())
    .build()?;
    // One credential for several service hosts of production, and never for staging:
    // Origins::only("https://*.services.simacan.com")?
    //     .except(["https://*-stg.services.simacan.com"])?
    let layer = AuthLayer::new(provider.clone(), Origins::only(&base)?);
    let handle = layer.handle();
    let client = ServiceBuilder::new().layer(layer).service(
        // A thousand calls share one connection: many systems allow no thousand open files.
        Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http(),
    );
    // How many of so many calls at once succeed.
    let calls = async |count: usize| {
        let call = |_| async {
            let request = Request::get(format!("{base}/trips")).body(Empty::<Bytes>::new())?;
            let response = client.clone().ready().await?.call(request).await?;
            Ok::<_, BoxError>(response.status().is_success())
        };
        let answers = join_all((0..count).map(call)).await;
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(true)))
            .count()
    };

    println!("1,000 calls at once, without a token yet:");
    assert_eq!(calls(1000).await, 1000);

    println!("the token stops working before its time:");
    server.lock().unwrap().access_token.clear();
    assert_eq!(calls(1000).await, 1000);

    println!("the refresh token does not work any more either:");
    server.lock().unwrap().access_token.clear();
    server.lock().unwrap().refresh_token.clear();
    assert_eq!(calls(1000).await, 1000);

    println!("and somebody has changed the password:");
    server.lock().unwrap().access_token.clear();
    server.lock().unwrap().refresh_token.clear();
    server.lock().unwrap().password = "battery staple";
    assert_eq!(calls(1000).await, 0);
    let status = handle.status();
    let (_, error) = status.failing().ok_or("it must fail")?;
    println!("  {error:#}");
    let login = error
        .provider_error()
        .and_then(|error| error.get_ref().downcast_ref());
    assert!(login.is_some_and(LoginRequired::is_password_refused));

    println!("so nothing is sent until there is a new one:");
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
struct Simacan {
    password: &'static str,
    access_token: String,
    refresh_token: String,
    issued: usize,
    seen: Vec<String>,
}

impl Default for Simacan {
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

impl Simacan {
    fn answer(&mut self, request: &Request<String>) -> Response<String> {
        let path = request.uri().path();
        // The forms have these fields and no others.
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
                return serve::answer(if known { 200 } else { 401 }, "");
            }
        };
        let refused = if accepted { "" } else { " (401)" };
        let line = format!("{} {path}{refused}", request.method());
        println!("  {line}");
        self.seen.push(line);
        if !accepted {
            return serve::answer(401, "");
        }
        self.issued += 1;
        self.access_token = format!("access-{}", self.issued);
        self.refresh_token = format!("refresh-{}", self.issued);
        let body = format!(
            r#"{{"access_token":"{}","refresh_token":"{}","token_type":"bearer","expires_in":3600}}"#,
            self.access_token, self.refresh_token
        );
        serve::answer(200, body)
    }
}
