use std::task::{Context, Poll};

use ::http::{HeaderMap, Method, StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// Returns the ID and the secret that a server reads from HTTP Basic.
fn basic(headers: &HeaderMap) -> String {
    let value = &headers["authorization"];
    assert!(value.is_sensitive());
    let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// R2: the request that a machine-to-machine platform documents, byte for byte.
#[tokio::test]
async fn the_request_matches_the_example_of_rfc_6749() {
    let (parts, body) = request_of(client()).await;
    assert_eq!(parts.method, Method::POST);
    assert_eq!(parts.uri, URL);
    assert_eq!(
        parts.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(parts.headers["accept"], "application/json");
    assert_eq!(parts.headers["authorization"], "Basic aWQ6aGlkZGVu");
    assert_eq!(parts.headers.len(), 3);
    assert_eq!(body, "grant_type=client_credentials");
}

/// P46, R1.
#[tokio::test]
async fn id_and_secret_are_percent_encoded_each_before_basic() {
    for (id, secret, sent) in [
        ("id", "s3cr-._~", "id:s3cr-._~"),
        ("i:d", "a:b%c+d&e f", "i%3Ad:a%3Ab%25c%2Bd%26e%20f"),
        ("é", "/=?#é\n", "%C3%A9:%2F%3D%3F%23%C3%A9%0A"),
    ] {
        let client = client().client_id(id).client_secret(secret);
        assert_eq!(basic(&request_of(client).await.0.headers), sent);
    }
}

/// P46.
#[tokio::test]
async fn unencoded_basic_sends_id_and_secret_unchanged() {
    let client = client()
        .client_id("i d")
        .client_secret("a:b%c+d&e fé")
        .client_secret_basic_unencoded();
    let (parts, _) = request_of(client).await;
    assert_eq!(basic(&parts.headers), "i d:a:b%c+d&e fé");
}

/// P47, R1.
#[tokio::test]
async fn the_secret_is_never_in_both_the_header_and_the_body() {
    for client in [
        client(),
        client().client_secret_basic_unencoded(),
        client()
            .client_secret_post()
            .client_secret_basic_unencoded(),
    ] {
        let (parts, body) = request_of(client).await;
        assert!(parts.headers.contains_key("authorization"));
        assert_eq!(body, "grant_type=client_credentials");
    }
    let client = client().client_secret("a:b%c+d&e fé").client_secret_post();
    let (parts, body) = request_of(client).await;
    assert!(!parts.headers.contains_key("authorization"));
    assert_eq!(
        body,
        "grant_type=client_credentials&client_id=id&client_secret=a%3Ab%25c%2Bd%26e%20f%C3%A9"
    );
}

/// P24: readiness applies to one clone, and to one call on that clone.
#[tokio::test]
async fn each_request_goes_through_a_readied_clone() {
    #[derive(Default)]
    struct Picky {
        ready: bool,
    }
    impl Clone for Picky {
        fn clone(&self) -> Self {
            Self::default()
        }
    }
    impl tower::Service<Request<Full<Bytes>>> for Picky {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called unready");
            std::future::ready(Ok(Response::new(Full::from(TOKEN))))
        }
    }
    let provider = client().http(Picky { ready: true }).build().unwrap();
    provider.issue(context()).await.unwrap();
    let again = context_because(Reason::Invalidated);
    provider.issue(again).await.unwrap();
}

/// R39.
#[tokio::test]
async fn scopes_resources_and_parameters_are_sent() {
    let client = client()
        .scopes(["items:read", "items:write"])
        .scopes(vec![String::from("admin")])
        .resource("https://api.example.com/")
        .resource("urn:example:files")
        .param("audience", "a&b");
    let (_, body) = request_of(client).await;
    assert_eq!(
        body,
        "grant_type=client_credentials\
         &resource=https%3A%2F%2Fapi.example.com%2F&resource=urn%3Aexample%3Afiles\
         &audience=a%26b&scope=items%3Aread%20items%3Awrite%20admin"
    );
}

/// R27: the connection authenticates the client.
#[tokio::test]
async fn mutual_tls_sends_only_the_id() {
    let (head, body) = request_of(
        ClientCredentials::builder(URL)
            .client_id("my client")
            .tls_client_auth(),
    )
    .await;
    assert_eq!(body, "grant_type=client_credentials&client_id=my%20client");
    assert!(!head.headers.contains_key("authorization"));

    let service = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let with_both = client().tls_client_auth().http(service);
    assert_eq!(with_both.build().unwrap_err().field(), "client_secret");
}

/// P13: this crate cannot tell whether the inner service follows redirects, but it does not follow
/// them itself.
#[tokio::test]
async fn a_redirect_is_a_permanent_error_that_names_it() {
    for status in [301, 302, 303, 307, 308] {
        let response = Response::builder()
            .status(status)
            .header("location", "https://elsewhere.example.com/?hidden")
            .body(TOKEN)
            .unwrap();
        let error = issue(client(), response).await.unwrap_err();
        assert!(error.is_permanent());
        assert_eq!(token_error(&error).status().unwrap().as_u16(), status);
        let text = format!("{error:#}");
        assert!(
            text.contains("redirect") && !text.contains("hidden"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_network_error_is_transient_and_keeps_its_cause() {
    /// An error that wraps its cause, like those of HTTP clients.
    #[derive(Debug)]
    struct Wrapped(std::io::Error);

    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("client error (Connect)")
        }
    }

    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let service = service_fn(|_| async {
        let cause = std::io::Error::other("connection refused");
        Err::<Response<Full<Bytes>>, _>(Wrapped(cause))
    });
    let provider = client().http(service).build().unwrap();
    let error = provider.issue(context()).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        format!("{error:#}"),
        "temporary provider error: no complete response from the token endpoint: client error \
         (Connect): connection refused"
    );
    let network = token_error(&error).network();
    assert!(network.is_some_and(|network| network.is::<Wrapped>()));
    assert_eq!(token_error(&error).status(), None);
}

/// The layer ends the wait with a timeout error.
#[tokio::test(start_paused = true)]
async fn a_hanging_endpoint_is_cut_off_at_the_deadline() {
    let hanging =
        service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let stalling = service_fn(|_| async {
        let frames = futures::stream::once(async {
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from("{")))
        });
        let frames = futures::StreamExt::chain(frames, futures::stream::pending());
        let body = http_body_util::StreamBody::new(frames);
        Ok::<_, Infallible>(Response::new(body))
    });
    for provider in [client().http(hanging), client().http(stalling)] {
        let origins = Origins::only("https://api.example.com").unwrap();
        let handle = AuthLayer::new(provider.build().unwrap(), origins).handle();
        let start = Instant::now();
        let error = handle.credential().await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 10);
        assert!(error.is_timeout(), "{error:#}");
    }
}

/// `Retry-After` applies to every error status.
#[tokio::test]
async fn retry_after_is_read_in_both_formats() {
    let date = std::time::SystemTime::now() + Duration::from_secs(100);
    let date = httpdate::fmt_http_date(date);
    for (text, expected) in [
        ("7", Some(7..=7)),
        (date.as_str(), Some(95..=100)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0..=0)),
        ("18446744073709551615", Some(u64::MAX..=u64::MAX)),
        ("-1", None),
        ("soon", None),
        ("", None),
    ] {
        for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_REQUEST] {
            let mut response = Response::new("");
            *response.status_mut() = status;
            let value = text.parse().unwrap();
            response.headers_mut().insert("retry-after", value);
            let error = issue(client(), response).await.unwrap_err();
            let wait = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(wait.is_some(), expected.is_some(), "{text}");
            let in_range = |wait: u64| expected.as_ref().unwrap().contains(&wait);
            assert!(wait.is_none_or(in_range), "{text}: {wait:?}");
        }
    }
}
