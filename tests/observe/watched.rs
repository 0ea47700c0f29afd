//! The programs whose spans and metrics are tested.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::sleep;
use tower::{Service, ServiceExt};
use tower_auth::{
    Auth, AuthLayer, BoxError, Credential, Issued, Origins, Provider, ProviderError,
    RefreshSettings,
    credential::Bearer,
    oauth2::{ClientCredentials, RefreshTokenGrant, TokenProvider},
    provider_fn,
    store::StoreKey,
};

use crate::{
    faulty::Faulty,
    memory::{Answer, Api, get},
};

/// A provider of the tokens `t1`, `t2`, ... Each takes a second and lasts an hour.
pub(crate) fn slow() -> impl Provider<Credential = Bearer> {
    let calls = Arc::new(AtomicUsize::new(0));
    provider_fn(move |_| {
        let number = calls.fetch_add(1, SeqCst) + 1;
        async move {
            tracing::info!("the provider is at work");
            sleep(Duration::from_secs(1)).await;
            let token = Bearer::new(format!("t{number}")).map_err(ProviderError::permanent)?;
            Ok(Issued::new(token).expires_in(Duration::from_secs(3600)))
        }
    })
}

pub(crate) fn failing(
    error: fn(&'static str) -> ProviderError,
) -> impl Provider<Credential = Bearer> {
    provider_fn(move |_| async move { Err::<Issued<Bearer>, _>(error("no luck")) })
}

pub(crate) fn layer<P: Provider>(provider: P) -> AuthLayer<P> {
    layer_with(provider, RefreshSettings::default().name("billing"))
}

pub(crate) fn layer_with<P: Provider>(provider: P, settings: RefreshSettings) -> AuthLayer<P> {
    let origins = Origins::only("https://api.example.com").unwrap();
    AuthLayer::with_settings(provider, origins, settings)
}

pub(crate) async fn call<C: Credential>(api: &Auth<Api, C>) -> Result<Answer, BoxError> {
    api.clone().oneshot(get()).await
}

pub(crate) async fn call_all<C: Credential>(api: &Auth<Api, C>, callers: usize) {
    for response in join_all((0..callers).map(|_| call(api))).await {
        response.unwrap();
    }
}

/// An API that accepts every token.
pub(crate) fn welcoming() -> Api {
    Api::new(|_| (Duration::ZERO, crate::memory::status(200)))
}

/// An API that rejects every token.
pub(crate) fn hostile() -> Api {
    Api::new(|_| (Duration::ZERO, crate::memory::status(401)))
}

/// A token endpoint that always returns this response.
fn endpoint(
    status: u16,
    body: &'static str,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    tower::service_fn(move |_| async move {
        let response = Response::builder().status(status);
        Ok(response.body(Full::from(body)).unwrap())
    })
}

pub(crate) const TOKEN: &str =
    r#"{"access_token":"t","token_type":"bearer","expires_in":3600,"refresh_token":"r2"}"#;

pub(crate) fn machine(status: u16, body: &'static str) -> TokenProvider<ClientCredentials> {
    let provider = ClientCredentials::builder("https://login.example.com/token");
    let provider = provider.client_id("me").client_secret("hidden");
    provider.http(endpoint(status, body)).build().unwrap()
}

/// A provider with a refresh token and a store that can fail.
pub(crate) fn stored(store: Faulty) -> TokenProvider<RefreshTokenGrant> {
    RefreshTokenGrant::builder("https://login.example.com/token")
        .client_id("me")
        .store(store, StoreKey::issuer("https://login.example.com"))
        .refresh_token("r1")
        .http(endpoint(200, TOKEN))
        .build()
        .unwrap()
}
