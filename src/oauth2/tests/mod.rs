mod cancellation;
mod config;
mod loopback;
mod requests;
mod responses;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::http::{Request, Response, request::Parts};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::{
    AuthLayer, Origins,
    credential::Bearer,
    error::ProviderError,
    provider::{Issued, Provider, Reason, RefreshContext, RefreshControl},
};

pub(super) const URL: &str = "https://auth.example.com/oauth/v2/token";
const TOKEN: &str = r#"{"access_token":"abc","token_type":"Bearer"}"#;

/// Returns the context that the layer passes to a provider, with the default refresh timeout.
pub(super) fn context() -> RefreshContext<Bearer> {
    context_because(Reason::Initial)
}

fn context_because(reason: Reason) -> RefreshContext<Bearer> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let control = Arc::new(RefreshControl::new(deadline));
    RefreshContext::new(reason, None, Vec::new(), control)
}

/// Returns a builder that lacks only the HTTP service.
pub(super) fn client() -> Builder<ClientCredentials> {
    ClientCredentials::builder(URL)
        .client_id("id")
        .client_secret("hidden")
}

/// Sends one token request to an endpoint that returns this response.
pub(super) async fn issue(
    client: Builder<ClientCredentials>,
    response: Response<impl Into<Bytes> + Clone + Send + 'static>,
) -> Result<Issued<Bearer>, ProviderError> {
    let service = service_fn(move |_| {
        let response = response.clone().map(|body| Full::new(body.into()));
        async { Ok::<_, Infallible>(response) }
    });
    let provider = client.http(service).build().unwrap();
    provider.issue(context()).await
}

/// Returns the request that a client sends.
pub(super) async fn request_of(client: Builder<ClientCredentials>) -> (Parts, String) {
    let seen = Arc::new(Mutex::new(None));
    let service = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<Full<Bytes>>| {
            let seen = Arc::clone(&seen);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                *seen.lock().unwrap() = Some((parts, body));
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(TOKEN))))
            }
        }
    });
    let provider = client.http(service).build().unwrap();
    provider.issue(context()).await.unwrap();
    seen.lock().unwrap().take().expect("a request was sent")
}

pub(super) fn token_error(error: &ProviderError) -> &TokenError {
    error.get_ref().downcast_ref().expect("it is a TokenError")
}
