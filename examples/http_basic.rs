//! An API with HTTP Basic: email address and password, encoded as `curl -u` does.
//!
//! `cargo run --example http_basic`

#[path = "support/serve.rs"]
mod serve;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, credential::Basic};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let api = format!("http://{}", serve::serve(server).await?);

    println!("with the correct password:");
    let user = Basic::new("first.last@example.com", "pass:word é")?;
    assert_eq!(list_issues(&api, user).await?, StatusCode::OK);

    println!("with a wrong password (the server's response is returned unchanged):");
    let user = Basic::new("first.last@example.com", "wrong")?;
    assert_eq!(list_issues(&api, user).await?, StatusCode::UNAUTHORIZED);

    println!("with a user name that Basic cannot encode:");
    let error = Basic::new("first:last", "password").unwrap_err();
    println!("  {error:#}");
    Ok(())
}

async fn list_issues(api: &str, user: Basic) -> Result<StatusCode, BoxError> {
    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(user, Origins::only(api)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(format!("{api}/api/v2/issues")).body(Empty::<Bytes>::new())?;
    let response = client.oneshot(request).await?;
    println!("  GET /api/v2/issues: {}", response.status());
    Ok(response.status())
}

/// Handles a request. Expects what `curl -u 'first.last@example.com:pass:word é'` sends.
async fn server(request: Request<String>) -> Response<String> {
    let expected = "Basic Zmlyc3QubGFzdEBleGFtcGxlLmNvbTpwYXNzOndvcmQgw6k=";
    match request.headers().get("authorization") {
        Some(value) if value == expected => serve::response(200, r#"{"issues":[]}"#),
        _ => serve::response(401, r#"{"error":"unauthorized"}"#),
    }
}
