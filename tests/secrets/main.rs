//! Rule 10: no message contains a secret, no matter what fails.

#[cfg(feature = "reqwest-middleware")]
mod clients;
mod log;
mod sessions;
mod stores;

use std::{fmt::Debug, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, ConfigError, Issued, NotRetried, Origins, Provider, ProviderError,
    credential::{ApiKey, Basic, Bearer},
    oauth2::ClientCredentials,
    provider_fn,
};

/// A part of every secret, in each encoding in which it is sent.
const MARK: &str = "hunter2";
/// Base64 of texts with the mark at each of the three positions.
const ENCODED: [&str; 3] = ["aHVudGVyM", "h1bnRlcj", "odW50ZXIy"];

fn is_silent(text: &str) {
    assert!(!text.contains(MARK), "{text}");
    assert!(ENCODED.iter().all(|part| !text.contains(part)), "{text}");
}

fn shows_nothing(value: impl Debug) {
    is_silent(&format!("{value:?} {value:#?}"));
}

fn tells_nothing(error: &(dyn std::error::Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        is_silent(&format!("{error:#} {error:?} {error:#?}"));
        next = error.source();
    }
}

fn refused<T>(outcome: Result<T, ConfigError>) {
    match outcome {
        Ok(_) => panic!("this is to be refused"),
        Err(error) => tells_nothing(&error),
    }
}

#[test]
fn invalid_settings_are_refused_without_showing_them() {
    let _log = log::watch();
    refused(Bearer::new(format!("{MARK} with spaces")));
    refused(Bearer::new(format!("{MARK}é")));
    refused(Basic::new(format!("{MARK}:user"), "x"));
    refused(Basic::new("user", format!("{MARK}\n")));
    refused(ApiKey::header("x-api-key", format!("{MARK}\n")));
    refused(ApiKey::header(format!("{MARK} name"), "x"));
    refused(Origins::only(format!("https://me:{MARK}@example.com")));
    refused(ClientCredentials::builder(format!("https://me:{MARK}@example.com/token")).build());
    refused(
        ClientCredentials::builder("https://example.com/token")
            .client_id("me")
            .client_secret(format!("{MARK}\n"))
            .client_secret_basic_unencoded()
            .http(responding(200, ""))
            .build(),
    );
}

#[test]
fn no_debug_output_shows_a_secret() {
    let _log = log::watch();
    let bearer = Bearer::new(MARK).unwrap();
    shows_nothing(&bearer);
    shows_nothing(Basic::new("user", MARK).unwrap());
    shows_nothing(ApiKey::header("x-api-key", MARK).unwrap());
    shows_nothing(ApiKey::query("key", MARK).unwrap());
    shows_nothing(Issued::new(bearer.clone()));
    let builder = ClientCredentials::builder("https://example.com/token")
        .client_id("me")
        .client_secret(MARK)
        .param("password", MARK)
        .http(responding(200, ""));
    shows_nothing(&builder);
    shows_nothing(builder.build().unwrap());
    let layer = AuthLayer::new(bearer, Origins::danger_any_https());
    shows_nothing(&layer);
    shows_nothing(layer.handle());
    shows_nothing(layer.layer(()));
}

type Request_ = Request<Full<Bytes>>;
type Response_ = Response<Full<Bytes>>;

#[derive(Clone, Debug)]
struct Responding(u16, &'static str);

/// A client that returns the same response to every request.
fn responding(status: u16, body: &'static str) -> Responding {
    Responding(status, body)
}

impl tower::Service<Request_> for Responding {
    type Response = Response_;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response_, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request_) -> Self::Future {
        let mut response = Response::new(Full::from(self.1));
        *response.status_mut() = self.0.try_into().unwrap();
        std::future::ready(Ok(response))
    }
}

/// Responses of a token endpoint that echo the request, in all the ways in which a response can fail.
const RESPONSES: [(u16, &str); 12] = [
    (
        400,
        r#"{"error":"invalid_client","error_description":"hunter2 is wrong"}"#,
    ),
    (
        401,
        r#"{"error":"hunter2","error_uri":"https://x.com/hunter2"}"#,
    ),
    (400, "<html>hunter2</html>"),
    (500, "hunter2"),
    (302, "hunter2"),
    (200, "hunter2"),
    (200, r#"{"access_token":"hunter2 x","token_type":"bearer"}"#),
    (200, r#"{"access_token":"hunter2"}"#),
    (200, r#"{"access_token":"hunter2","token_type":"hunter2"}"#),
    (200, r#"{"error":"hunter2"}"#),
    (200, r#"{"access_token":["hunter2"]}"#),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"hunter2"}"#,
    ),
];

fn get() -> Request_ {
    Request::get("https://api.example.com/")
        .body(Full::default())
        .unwrap()
}

/// Token endpoints that echo the request, in all the ways in which a response can fail.
#[tokio::test(start_paused = true)]
async fn no_token_response_puts_a_secret_into_an_error() {
    let _log = log::watch();
    for (status, body) in RESPONSES {
        let provider = ClientCredentials::builder("https://example.com/token")
            .client_id("me")
            .client_secret(MARK)
            .http(responding(status, body))
            .build()
            .unwrap();
        let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
        fails_silently(&layer).await;
    }
}

/// A request fails because there is no credential, and no message contains a secret.
async fn fails_silently<P: Provider>(layer: &AuthLayer<P>) {
    let service = layer.layer(responding(200, ""));
    if let Err(error) = service.oneshot(get()).await {
        tells_nothing(&*error);
    }
    shows_nothing(layer);
    shows_nothing(layer.handle().status());
    is_silent(&layer.handle().status().to_string());
}

#[tokio::test(start_paused = true)]
async fn a_rejection_shows_nothing_of_the_credential() {
    let _log = log::watch();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let provider = provider_fn(move |_| {
        let first = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if first {
                return Ok(Issued::new(Bearer::new(MARK).unwrap()));
            }
            Err(ProviderError::permanent("no"))
        }
    });
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    let response = layer
        .layer(responding(401, ""))
        .oneshot(get())
        .await
        .unwrap();
    let why: &NotRetried = response.extensions().get().unwrap();
    shows_nothing(why);
    is_silent(&why.to_string());
    shows_nothing(&response);
}

/// The output of a panic contains no secret either.
#[tokio::test(start_paused = true)]
async fn a_panicking_provider_shows_callers_nothing() {
    let _log = log::watch();
    let provider = provider_fn(|_| async {
        let secret = Bearer::new(MARK).unwrap();
        assert!(std::env::args().count() == 0, "{secret:?}");
        Ok(Issued::new(secret))
    });
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    let error = layer
        .layer(responding(200, ""))
        .oneshot(get())
        .await
        .unwrap_err();
    tells_nothing(&*error);
    assert!(error.source().is_none());
    assert!(log::lines().contains("panicked"));
}

/// Keys may be secret too, such as session IDs.
#[cfg(feature = "per-key")]
#[tokio::test(start_paused = true)]
async fn a_per_key_layer_shows_no_keys_and_no_credentials() {
    let _log = log::watch();
    let origins = Origins::only("https://api.example.com").unwrap();
    let provider = |key: &String| {
        key.ends_with('2')
            .then(|| Bearer::new(MARK).unwrap().boxed())
    };
    let layer = AuthLayer::per_key(provider, origins);
    let service = layer.layer(responding(401, ""));
    shows_nothing(&layer);
    shows_nothing(&service);
    for key in [MARK.to_owned(), format!("{MARK} unknown")] {
        let mut request = get();
        request.extensions_mut().insert(key.clone());
        match service.clone().oneshot(request).await {
            Ok(response) => shows_nothing(response.extensions().get::<NotRetried>()),
            Err(error) => tells_nothing(&*error),
        }
        match layer.handle().for_key(&key) {
            Ok(handle) => shows_nothing(handle.status()),
            Err(error) => tells_nothing(&error),
        }
    }
}
