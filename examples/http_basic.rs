//! SeeClickFix API v2 with HTTP Basic: e-mail address and password, as `curl -u` sends them.
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
    let api = format!("http://{}", serve::serve(seeclickfix).await?);

    println!("with the right password:");
    let user = Basic::new("first.last@example.com", "pass:word é")?;
    assert_eq!(list_issues(&api, user).await?, StatusCode::OK);

    println!("with a wrong one (the server's answer comes back as it is):");
    let user = Basic::new("first.last@example.com", "wrong")?;
    assert_eq!(list_issues(&api, user).await?, StatusCode::UNAUTHORIZED);

    println!("with a user name that Basic can't carry:");
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

/// The server. What it expects is what `curl -u 'first.last@example.com:pass:word é'` sends.
async fn seeclickfix(request: Request<String>) -> Response<String> {
    let expected = "Basic Zmlyc3QubGFzdEBleGFtcGxlLmNvbTpwYXNzOndvcmQgw6k=";
    match request.headers().get("authorization") {
        Some(value) if value == expected => serve::answer(200, r#"{"issues":[]}"#),
        _ => serve::answer(401, r#"{"error":"unauthorized"}"#),
    }
}
