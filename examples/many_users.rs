//! One client for many users: each request carries the token of its user.
//!
//! `cargo run --example many_users --features per-key`

#[path = "support/serve.rs"]
mod serve;

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Error, Origins, credential::Bearer};

/// The user of a request, as a request extension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct User(&'static str);

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let api = format!("http://{}", serve::serve(api).await?);

    // The tokens from earlier logins, read from the application's own storage.
    let saved = HashMap::from([
        (User("ann"), "token-of-ann"),
        (User("bob"), "token-of-bob"),
        (User("eve"), "revoked"),
    ]);
    let layer = AuthLayer::per_key(
        move |user: &User| Bearer::new(*saved.get(user)?).ok(),
        Origins::only(&api)?,
    );
    let client = ServiceBuilder::new()
        .layer(layer.clone())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    // All users call concurrently through one client.
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..300 {
        let user = User(["ann", "bob", "eve"][number % 3]);
        let call = call(
            client.clone(),
            format!("{api}/api/v2/profile"),
            user.clone(),
        );
        calls.spawn(async move { (user, call.await) });
    }
    let mut responses = HashMap::new();
    for (user, status) in calls.join_all().await {
        *responses.entry((user.0, status?)).or_insert(0) += 1;
    }
    for ((user, status), count) in &responses {
        println!("{user}: {count} × {status}");
    }
    assert_eq!(responses[&("ann", StatusCode::OK)], 100);
    assert_eq!(responses[&("bob", StatusCode::OK)], 100);
    assert_eq!(responses[&("eve", StatusCode::UNAUTHORIZED)], 100);

    // One user logs out. The others are not affected.
    layer.handle().for_key(&User("ann"))?.log_out().await?;
    for name in ["ann", "bob", "mallory"] {
        let outcome = call(client.clone(), format!("{api}/api/v2/profile"), User(name)).await;
        match &outcome {
            Ok(status) => println!("{name}: {status}"),
            Err(error) => println!("{name}: {error:#}"),
        }
        let error = outcome
            .as_ref()
            .err()
            .and_then(|error| error.downcast_ref::<Error>());
        assert_eq!(error.is_some_and(Error::is_logged_out), name == "ann");
        assert_eq!(error.is_some_and(Error::is_unknown_key), name == "mallory");
    }
    Ok(())
}

async fn call<S, R>(client: S, url: String, user: User) -> Result<StatusCode, BoxError>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error = BoxError>,
{
    let request = Request::get(url).extension(user).body(Empty::new())?;
    Ok(client.oneshot(request).await?.status())
}

/// Handles the API's requests.
async fn api(request: Request<String>) -> Response<String> {
    let token = request
        .headers()
        .get("authorization")
        .map(|value| value.as_bytes());
    match token {
        Some(b"Bearer token-of-ann") => serve::response(200, r#"{"name":"Ann"}"#),
        Some(b"Bearer token-of-bob") => serve::response(200, r#"{"name":"Bob"}"#),
        _ => serve::response(401, r#"{"error":"unauthorized"}"#),
    }
}
