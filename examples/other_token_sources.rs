//! Uses token sources from other crates as providers: the `oauth2` crate, and any `TokenCredential`
//! of the Azure SDK. The layer decides when to get a token, shares it among callers and handles 401
//! responses. If possible, disable the caches and retries of those crates.
//!
//! `cargo run --example other_token_sources`

#[path = "support/serve.rs"]
mod serve;

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    time::{Duration, OffsetDateTime},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use oauth2::{
    AuthUrl, ClientId, ClientSecret, RequestTokenError, TokenResponse, TokenUrl, basic::BasicClient,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Issued, Origins, Provider, ProviderError, credential::Bearer, provider_fn,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = format!("http://{}", serve::serve(server).await?);
    let sent = call(&server, of_oauth2(&server)?).await?;
    println!("oauth2: {sent}");
    assert_eq!(sent, "Bearer of-oauth2");
    let sent = call(&server, of_azure(Arc::new(Workload))).await?;
    println!("azure_core: {sent}");
    assert_eq!(sent, "Bearer of-azure");
    Ok(())
}

/// Creates a provider that gets tokens with the `oauth2` crate (client credentials grant).
fn of_oauth2(server: &str) -> Result<impl Provider<Credential = Bearer> + use<>, BoxError> {
    let client = BasicClient::new(ClientId::new("my-service".to_owned()))
        .set_client_secret(ClientSecret::new("correct horse".to_owned()))
        .set_auth_uri(AuthUrl::new(format!("{server}/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{server}/token"))?);
    let http = Client::builder(TokioExecutor::new()).build_http();
    Ok(provider_fn(move |_| {
        let (client, http) = (client.clone(), http.clone());
        async move {
            let send = |request| send(http.clone(), request);
            let response = client.exchange_client_credentials().request_async(&send);
            let response = response.await.map_err(|error| match error {
                // Some of the other errors contain the response body, which must not be logged.
                RequestTokenError::Request(error) => ProviderError::transient(error),
                RequestTokenError::ServerResponse(error) => {
                    ProviderError::permanent(error.error().to_string())
                }
                _ => ProviderError::permanent("the token response is not readable"),
            })?;
            let token = response.access_token().secret();
            let issued = Issued::new(Bearer::new(token).map_err(ProviderError::permanent)?);
            Ok(match response.expires_in() {
                Some(lifetime) => issued.expires_in(lifetime),
                None => issued,
            })
        }
    }))
}

/// Sends an `oauth2` request with a hyper client.
async fn send(
    http: Client<HttpConnector, Full<Bytes>>,
    request: oauth2::HttpRequest,
) -> Result<oauth2::HttpResponse, std::io::Error> {
    let request = request.map(|body| Full::new(Bytes::from(body)));
    let (head, body) = http
        .request(request)
        .await
        .map_err(std::io::Error::other)?
        .into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?;
    Ok(Response::from_parts(head, body.to_bytes().to_vec()))
}

/// Creates a provider from any Azure SDK credential, such as those in the `azure_identity` crate.
fn of_azure(credential: Arc<dyn TokenCredential>) -> impl Provider<Credential = Bearer> {
    provider_fn(move |_| {
        let credential = Arc::clone(&credential);
        async move {
            let token = credential.get_token(&["https://api.example.com/.default"], None);
            let token = token.await.map_err(ProviderError::transient)?;
            let until = SystemTime::from(token.expires_on);
            let token = Bearer::new(token.token.secret()).map_err(ProviderError::permanent)?;
            Ok(Issued::new(token).expires_at(until))
        }
    })
}

/// A credential that works without Azure.
#[derive(Debug)]
struct Workload;

#[async_trait]
impl TokenCredential for Workload {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let until = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new("of-azure", until))
    }
}

async fn call(server: &str, provider: impl Provider) -> Result<String, BoxError> {
    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(server)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(format!("{server}/things")).body(Empty::<Bytes>::new())?;
    let response = client.oneshot(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Serves a token endpoint, and an API that returns the token it received.
async fn server(request: Request<String>) -> Response<String> {
    if request.uri().path() == "/token" {
        let token = r#"{"access_token":"of-oauth2","token_type":"bearer","expires_in":60}"#;
        let mut response = serve::response(200, token);
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        return response;
    }
    let header = request.headers().get("authorization");
    let token = header.and_then(|value| value.to_str().ok());
    serve::response(200, token.unwrap_or("nothing"))
}
