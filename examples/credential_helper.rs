//! A program that gets its tokens from a credential helper, as `kubectl` and `docker` do.
//!
//! `cargo run --features command --example credential_helper` uses a built-in helper and API.
//! `cargo run --features command --example credential_helper -- API_URL PROGRAM [ARGUMENT...]`
//! calls your API with the token that your helper prints, such as
//! `https://www.googleapis.com/... gcloud auth print-access-token`.

#[path = "support/serve.rs"]
mod serve;

use std::env;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, provider::CommandToken};

/// A stand-in for a separate program, which `kubectl` calls an exec plugin.
const HELPER: &str = r#"echo '{
    "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
    "status": {"token": "helped", "expirationTimestamp": "2099-01-01T00:00:00Z"}
}'"#;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args: Vec<_> = env::args().skip(1).collect();
    let (api, helper) = match args.as_slice() {
        [] => (api().await?, CommandToken::new("sh").args(["-c", HELPER])),
        [api, program, args @ ..] => (api.clone(), CommandToken::new(program).args(args)),
        [_] => return Err("usage: credential_helper [API_URL PROGRAM [ARGUMENT...]]".into()),
    };
    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(helper, Origins::only(origin(&api)?)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    // The helper runs only once: the token is still valid for the second call.
    for _ in 0..2 {
        let request = Request::get(&api).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        println!("{api} returned {}", response.status());
        assert!(response.status().is_success());
    }
    Ok(())
}

/// Starts an API that accepts the helper's token, and returns its URL.
async fn api() -> Result<String, BoxError> {
    let address = serve::serve(|request: Request<String>| async move {
        let header = request.headers().get("authorization");
        let is_known = header.is_some_and(|value| value == "Bearer helped");
        serve::response(if is_known { 200 } else { 401 }, "")
    });
    Ok(format!("http://{}/things", address.await?))
}

/// Returns the origin of the API, the only one that may receive the token.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL must be a full URL, such as https://api.example.com/things".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
