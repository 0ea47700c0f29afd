//! The `proxy` example: access control, credentials and the command line.

#[path = "../../examples/proxy/proxy.rs"]
mod proxy;
#[path = "../../examples/proxy/settings.rs"]
#[allow(dead_code, reason = "only the example uses all of it")]
mod settings;

use std::{ffi::OsString, net::SocketAddr};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceBuilder;
use tower_auth::{
    AuthLayer, Origins, ReplayLayer, oauth2::ClientCredentials, test_util::TestServer,
};

use proxy::Proxy;
use settings::{Access, Settings};

/// A running proxy in front of an API.
struct Running {
    api: TestServer,
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Running {
    async fn start() -> Self {
        let api = TestServer::new().listen().await.unwrap();
        let tokens = ClientCredentials::builder(api.token_url())
            .client_id("me")
            .client_secret("hidden")
            .http(api.clone())
            .build()
            .unwrap();
        let client = ServiceBuilder::new()
            .layer(ReplayLayer::new())
            .layer(AuthLayer::new(tokens, Origins::only(api.url()).unwrap()))
            .service(Client::builder(TokioExecutor::new()).build_http());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("{}/v1/", api.url());
        let proxy = Proxy::new(client, &base, address, "s3cret").unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = proxy.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| proxy.clone().forward(request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            api,
            address,
            _task: task,
        }
    }

    async fn send(&self, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let mut request = Request::post(format!("http://{}/things?page=2", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(Full::new(Bytes::from("body"))).unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

#[tokio::test]
async fn requests_with_the_secret_get_the_credential() {
    let running = Running::start().await;
    for round in 1..=2 {
        // The proxy removes the program's own credential.
        let headers = [
            ("x-proxy-secret", "s3cret"),
            ("authorization", "Bearer old"),
        ];
        let (status, body) = running.send(&headers).await;
        assert_eq!((status, &*body), (StatusCode::OK, "/v1/things"));
        assert_eq!(running.api.token_requests(), round);
        running.api.revoke_tokens();
    }
}

#[tokio::test]
async fn requests_without_the_secret_are_rejected() {
    let running = Running::start().await;
    for (headers, expected) in [
        (vec![], 403),
        (vec![("x-proxy-secret", "guess")], 403),
        // DNS rebinding.
        (
            vec![("x-proxy-secret", "s3cret"), ("host", "evil.example")],
            421,
        ),
    ] {
        let (status, _) = running.send(&headers).await;
        assert_eq!(status, expected, "{headers:?}");
    }
    assert_eq!(
        (running.api.requests(), running.api.token_requests()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_credential_failure_is_reported() {
    let running = Running::start().await;
    running
        .api
        .fail_token_requests(1, StatusCode::SERVICE_UNAVAILABLE);
    let (status, body) = running.send(&[("x-proxy-secret", "s3cret")]).await;
    assert_eq!(status, 502);
    assert!(
        body.starts_with(
            "failed to get a credential: temporary provider error: the token endpoint failed: 503"
        ),
        "{body}"
    );
}

fn read(line: &str) -> Result<Settings, String> {
    let args = line.split_whitespace().map(OsString::from);
    Settings::parse(args, |name| {
        name.starts_with("P").then(|| name.to_lowercase())
    })
}

#[test]
fn the_command_line_is_parsed_and_checked() {
    let settings = read("--api https://a.example --port 99 --bearer-env P_TOKEN").unwrap();
    assert_eq!((&*settings.api, settings.port), ("https://a.example", 99));
    assert_eq!(settings.secret, "proxy_secret");
    assert!(matches!(settings.access, Access::Bearer(token) if token == "p_token"));
    let client = "--api https://a.example --token-url https://b.example --client-id me";
    let settings = read(&format!(
        "{client} --client-secret-env P --scope a --scope=b"
    ))
    .unwrap();
    let Access::ClientCredentials { scopes, .. } = settings.access else {
        panic!("the access is not client credentials");
    };
    assert_eq!(scopes, ["a", "b"]);

    for (line, why) in [
        ("", "either --bearer-env or --token-url is needed"),
        ("--bearer-env P", "--api is missing"),
        (
            "--bearer-env UNSET",
            "the environment variable UNSET is not set",
        ),
        ("--port x", "--port: x is not a port"),
        ("--color", "unknown option --color"),
        (client, "--client-secret-env is missing"),
    ] {
        assert_eq!(read(line).err().as_deref(), Some(why), "{line}");
    }
}
