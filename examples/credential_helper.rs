//! A program that leaves the log-in to a credential helper, as `kubectl` and `docker` do.
//!
//! `cargo run --features command --example credential_helper` has a helper and an API of its own.
//! `cargo run --features command --example credential_helper -- API_URL PROGRAM [ARGUMENT..]` calls
//! an API with what a helper of yours prints, such as
//! `https://www.googleapis.com/.. gcloud auth print-access-token`.

#[path = "support/serve.rs"]
mod serve;

use std::env;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, provider::CommandToken};

/// What `kubectl` calls an exec plugin would be a program of its own.
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
        [_] => return Err("usage: credential_helper [API_URL PROGRAM [ARGUMENT..]]".into()),
    };
    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(helper, Origins::only(origin(&api)?)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    // The helper is run once: what it says about the token's end holds for the second call too.
    for _ in 0..2 {
        let request = Request::get(&api).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        println!("{api} answered {}", response.status());
        assert!(response.status().is_success());
    }
    Ok(())
}

/// An API that accepts what the helper prints.
async fn api() -> Result<String, BoxError> {
    let address = serve::serve(|request: Request<String>| async move {
        let header = request.headers().get("authorization");
        let is_known = header.is_some_and(|value| value == "Bearer helped");
        serve::answer(if is_known { 200 } else { 401 }, "")
    });
    Ok(format!("http://{}/things", address.await?))
}

/// Where the token may go: to the API, and nowhere else.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL is no whole URL".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
