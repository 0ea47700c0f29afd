//! A machine-to-machine API: client credentials, with the client ID and secret in HTTP Basic, not
//! form-encoded.
//!
//! `cargo run --example client_credentials`

#[path = "support/serve.rs"]
mod serve;

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, oauth2::ClientCredentials};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let platform = format!("http://{}", serve::serve(platform).await?);
    let provider = |secret: &str| {
        ClientCredentials::builder(format!("{platform}/oauth/v2/token"))
            .client_id("my-service")
            .client_secret(secret)
            .client_secret_basic_unencoded()
            .http(Client::builder(TokioExecutor::new()).build_http())
            .build()
    };

    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(
            provider("s3cr/et+")?,
            Origins::only(&platform)?,
        ))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let get = async |path: &str| {
        let request = Request::get(format!("{platform}{path}")).body(Empty::<Bytes>::new())?;
        Ok::<_, BoxError>(client.clone().ready().await?.call(request).await?.status())
    };

    println!("100 concurrent calls, with one token request:");
    let responses = join_all((0..100).map(|_| get("/things"))).await;
    let succeeded = responses
        .iter()
        .flatten()
        .filter(|status| status.is_success());
    let succeeded = succeeded.count();
    println!("  {succeeded} succeeded");
    assert_eq!(succeeded, 100);

    println!("403 means that a permission is missing. Another token would not help:");
    let status = get("/admin").await?;
    println!("  GET /admin: {status}");
    assert_eq!(status, StatusCode::FORBIDDEN);

    println!("with a wrong secret:");
    let layer = AuthLayer::new(provider("wrong")?, Origins::only(&platform)?);
    let error = layer.handle().credential().await.unwrap_err();
    println!("  {error:#}");
    assert!(error.is_provider() && !error.is_login_required());
    Ok(())
}

/// Handles a request. Requires `Authorization: Basic base64(client_id:client_secret)` and a single
/// form field. Issues a token that ends with `=`.
async fn platform(request: Request<String>) -> Response<String> {
    let header = request.headers().get("authorization");
    let sent = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    match (request.uri().path(), sent) {
        ("/oauth/v2/token", "Basic bXktc2VydmljZTpzM2NyL2V0Kw==")
            if request.method() == "POST"
                && request.headers()["content-type"] == "application/x-www-form-urlencoded"
                && request.body() == "grant_type=client_credentials" =>
        {
            println!("  (token request)");
            let body = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"dG9rZW4="}"#;
            serve::response(200, body)
        }
        ("/things", "Bearer dG9rZW4=") => serve::response(200, "[]"),
        ("/admin", "Bearer dG9rZW4=") => serve::response(403, ""),
        _ => serve::response(401, ""),
    }
}
