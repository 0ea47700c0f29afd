//! A workload in Kubernetes that calls an API with the token mounted into its pod. Kubernetes
//! replaces the token about every hour.
//!
//! `cargo run --features file --example kubernetes_token` simulates the mount and the API.
//! `cargo run --features file --example kubernetes_token -- API_URL [FILE]` calls your API with the
//! pod's token. To call the Kubernetes API, the client needs TLS with the cluster's certificate.

#[path = "support/serve.rs"]
mod serve;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, provider::FileToken};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args: Vec<_> = env::args().skip(1).collect();
    match args.as_slice() {
        [] => {
            let mount = Mount::new()?;
            call(&api(&mount.token).await?, &mount.token, || {
                mount.replace("token-2")
            })
            .await
        }
        [api, file @ ..] => {
            let file = file.first().map_or(FileToken::KUBERNETES, String::as_str);
            call(api, Path::new(file), || Ok(())).await
        }
    }
}

async fn call(
    api: &str,
    token: &Path,
    between: impl Fn() -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    let provider = FileToken::new(token);
    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(origin(api)?)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    for what in ["the first call", "a call after the token was replaced"] {
        let request = Request::get(api).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        println!("{what}: {}", response.status());
        assert!(response.status().is_success());
        between()?;
    }
    Ok(())
}

/// Starts an API that accepts the currently mounted token, and returns its URL.
async fn api(token: &Path) -> Result<String, BoxError> {
    let token = token.to_owned();
    let address = serve::serve(move |request: Request<String>| {
        let expected = fs::read_to_string(&token).map(|token| format!("Bearer {token}"));
        async move {
            let header = request.headers().get("authorization");
            let sent = header.and_then(|value| value.to_str().ok());
            let known = expected.is_ok_and(|expected| sent == Some(expected.as_str()));
            let status = if known { 200 } else { 401 };
            println!("  (the API returns {status})");
            serve::response(status, "")
        }
    });
    Ok(format!("http://{}/api/v1/pods", address.await?))
}

/// Simulates the token mount of a pod. Dropping it removes the file.
struct Mount {
    token: PathBuf,
}

impl Mount {
    fn new() -> Result<Self, BoxError> {
        let name = format!("tower-auth-kubernetes-token-{}", std::process::id());
        let mount = Self {
            token: env::temp_dir().join(name),
        };
        mount.replace("token-1")?;
        Ok(mount)
    }

    /// Replaces the file atomically, so that a reader never sees half a token.
    fn replace(&self, token: &str) -> Result<(), BoxError> {
        let new = self.token.with_extension("new");
        fs::write(&new, token)?;
        Ok(fs::rename(new, &self.token)?)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.token);
    }
}

/// Returns the origin of the API, the only one that may receive the token.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL must be a full URL, such as https://api.example.com/things".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
