//! A custom token store: two services share one refresh token in a Postgres table, so that each
//! refresh token is spent only once. The program prints each refresh that the token server
//! receives.
//!
//! Run it with `cargo run --example postgres_store`. The program starts a temporary Postgres server
//! if Postgres is installed.

mod postgres;
#[path = "../support/serve.rs"]
mod serve;
mod store;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, oauth2::RefreshTokenGrant, store::StoreKey};

use postgres::Postgres;
use store::PostgresStore;

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let Some(postgres) = Postgres::start().await? else {
        return Ok(());
    };
    PostgresStore::new(postgres.config()).create_table().await?;

    let server = Arc::new(Mutex::new(Server::default()));
    let base = serve::serve({
        let server = Arc::clone(&server);
        move |request| std::future::ready(server.lock().unwrap().handle(&request))
    });
    let base = format!("http://{}", base.await?);
    let token_url = format!("{base}/token");

    // In production, each service is a process on a separate machine. Each has its own connection.
    let service = || -> Result<_, BoxError> {
        let provider = RefreshTokenGrant::builder(&token_url)
            .client_id("service")
            // The refresh token from the login. After the first refresh, the newest one is in the
            // table.
            .refresh_token("refresh-0")
            .store(
                PostgresStore::new(postgres.config()),
                StoreKey::issuer(&token_url).client("service"),
            )
            .http(Client::builder(TokioExecutor::new()).build_http())
            .build()?;
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http::<Empty<Bytes>>();
        Ok(AuthLayer::new(provider, Origins::only(&base)?).layer(client))
    };
    let services = [service()?, service()?];
    // Sends `count` concurrent calls through each service, and returns how many succeed.
    let calls = async |count: usize| {
        let call = |index: usize| {
            let client = services[index % 2].clone();
            async {
                let request = Request::get(format!("{base}/things")).body(Empty::new())?;
                let response = client.oneshot(request).await?;
                Ok::<_, BoxError>(response.status().is_success())
            }
        };
        let responses = join_all((0..2 * count).map(call)).await;
        responses.iter().filter(|it| matches!(it, Ok(true))).count()
    };

    println!("two services, 100 calls each, without a token:");
    assert_eq!(calls(100).await, 200);

    println!("the token is revoked before it expires:");
    server.lock().unwrap().access_token.clear();
    assert_eq!(calls(100).await, 200);

    println!("a third service starts, with the first refresh token:");
    let request = Request::get(format!("{base}/things")).body(Empty::new())?;
    let response = service()?.oneshot(request).await?;
    assert!(response.status().is_success());

    let seen = ["refresh-0 is spent", "refresh-1 is spent"];
    assert_eq!(server.lock().unwrap().seen, seen);
    println!("the token server received two refreshes, and no refresh token twice");
    Ok(())
}

/// An API and its token server, whose refresh tokens can each be spent only once.
#[derive(Default)]
struct Server {
    access_token: String,
    issued: usize,
    seen: Vec<String>,
}

impl Server {
    fn handle(&mut self, request: &Request<String>) -> Response<String> {
        if request.uri().path() != "/token" {
            let header = request.headers().get("authorization");
            let expected = format!("Bearer {}", self.access_token);
            let known = header.is_some_and(|value| *value == expected);
            return serve::response(if known { 200 } else { 401 }, "");
        }
        let token = format!("refresh-{}", self.issued);
        let mut form = request.body().split('&');
        if !form.any(|field| field == format!("refresh_token={token}")) {
            self.seen
                .push("a refresh token that is not the newest".to_owned());
            return serve::response(400, r#"{"error":"invalid_grant"}"#);
        }
        println!("  {token} is spent");
        self.seen.push(format!("{token} is spent"));
        self.issued += 1;
        self.access_token = format!("access-{}", self.issued);
        let body = format!(
            r#"{{"access_token":"{}","refresh_token":"refresh-{}","token_type":"bearer","expires_in":3600}}"#,
            self.access_token, self.issued
        );
        serve::response(200, body)
    }
}
