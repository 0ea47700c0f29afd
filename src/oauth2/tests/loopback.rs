use ::http::{StatusCode, Version};
use hyper::{body::Incoming, server::conn::http1, service::service_fn as hyper_service};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

use super::*;

/// The token endpoint of a machine-to-machine platform.
async fn token_endpoint(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let known = parts.uri.path() == "/oauth/v2/token"
        && parts.version == Version::HTTP_11
        && parts.headers["content-length"] == body.len().to_string()
        && body == "grant_type=client_credentials"
        && parts.headers["authorization"] == "Basic aWQ6aGlkZGVu";
    let (status, body) = if known {
        let body = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"abc="}"#;
        (StatusCode::OK, body)
    } else {
        (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#)
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}

/// R9: the request goes over real HTTP, with a real client.
#[tokio::test]
async fn a_real_client_gets_a_token_from_a_real_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = TokioIo::new(stream);
            let service = hyper_service(token_endpoint);
            tokio::spawn(http1::Builder::new().serve_connection(stream, service));
        }
    });
    let url = format!("http://{address}/oauth/v2/token");
    let with_secret = |secret: &str| {
        ClientCredentials::builder(&url)
            .client_id("id")
            .client_secret(secret)
            .client_secret_basic_unencoded()
            .http(Client::builder(TokioExecutor::new()).build_http())
            .build()
            .unwrap()
    };

    let issued = with_secret("hidden").issue(context()).await.unwrap();
    assert_eq!(issued.credential().expose(), "abc=");

    let error = with_secret("wrong").issue(context()).await.unwrap_err();
    assert!(error.is_permanent());
    assert_eq!(token_error(&error).code(), Some("invalid_client"));

    server.abort();
    let _ = server.await;
    let error = with_secret("hidden").issue(context()).await.unwrap_err();
    assert!(error.is_transient(), "{error:#}");
}
