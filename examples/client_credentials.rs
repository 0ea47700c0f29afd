//! A machine-to-machine platform: client credentials, with id and secret in HTTP Basic as they are.
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
    let tokens = |secret: &str| {
        ClientCredentials::builder(format!("{platform}/oauth/v2/token"))
            .client_id("my-service")
            .client_secret(secret)
            .client_secret_basic_unencoded()
            .http(Client::builder(TokioExecutor::new()).build_http())
            .build()
    };

    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(
            tokens("s3cr/et+")?,
            Origins::only(&platform)?,
        ))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let get = async |path: &str| {
        let request = Request::get(format!("{platform}{path}")).body(Empty::<Bytes>::new())?;
        Ok::<_, BoxError>(client.clone().ready().await?.call(request).await?.status())
    };

    println!("100 calls at once, with one token request:");
    let answers = join_all((0..100).map(|_| get("/things"))).await;
    let succeeded = answers
        .iter()
        .flatten()
        .filter(|status| status.is_success());
    let succeeded = succeeded.count();
    println!("  {succeeded} succeeded");
    assert_eq!(succeeded, 100);

    println!("403 means that a permission is missing, and no other token helps:");
    let status = get("/admin").await?;
    println!("  GET /admin: {status}");
    assert_eq!(status, StatusCode::FORBIDDEN);

    println!("with a wrong secret:");
    let layer = AuthLayer::new(tokens("wrong")?, Origins::only(&platform)?);
    let error = layer.handle().credential().await.unwrap_err();
    println!("  {error:#}");
    assert!(error.is_provider() && !error.is_login_required());
    Ok(())
}

/// The server: `Authorization: Basic base64(client_id:client_secret)`, the one form field, and a
/// token that ends with `=`.
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
            serve::answer(200, body)
        }
        ("/things", "Bearer dG9rZW4=") => serve::answer(200, "[]"),
        ("/admin", "Bearer dG9rZW4=") => serve::answer(403, ""),
        _ => serve::answer(401, ""),
    }
}
