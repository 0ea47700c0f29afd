//! An API with a personal access token, which never changes.
//!
//! `cargo run --example personal_access_token`

#[path = "support/serve.rs"]
mod serve;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, credential::Bearer};

const TOKEN: &str = "test-08/12/2024-01/01/2025-xxxx";

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let api = format!("http://{}", serve::serve(server).await?);

    println!("with the token:");
    let status = list_issues(&api, Bearer::new(TOKEN)?).await?;
    assert_eq!(status, StatusCode::OK);

    println!("in another header, for an API that requires it:");
    let token = Bearer::new(TOKEN)?.header_name("Authentication")?;
    let status = list_issues(&api, token).await?;
    assert_eq!(status, StatusCode::OK);

    println!("with an expired token (it cannot be refreshed, so the request is not retried):");
    let status = list_issues(&api, Bearer::new("test-old")?).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    Ok(())
}

async fn list_issues(api: &str, token: Bearer) -> Result<StatusCode, BoxError> {
    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(token, Origins::only(api)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(format!("{api}/api/v2/issues")).body(Empty::<Bytes>::new())?;
    let response = client.oneshot(request).await?;
    println!("  GET /api/v2/issues: {}", response.status());
    Ok(response.status())
}

/// Handles a request. Accepts the token in either header.
async fn server(request: Request<String>) -> Response<String> {
    let expected = format!("Bearer {TOKEN}");
    let known = ["authorization", "authentication"]
        .iter()
        .filter_map(|name| request.headers().get(*name))
        .any(|value| *value == expected);
    match known {
        true => serve::response(200, r#"{"issues":[]}"#),
        false => serve::response(401, r#"{"error":"unauthorized"}"#),
    }
}
