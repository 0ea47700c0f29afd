//! The token endpoint, on loopback.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::servers::Servers;

/// The running endpoint. Dropping it stops the server.
pub(crate) struct Endpoint {
    url: String,
    task: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn start(servers: &Servers) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/token", listener.local_addr()?);
        let servers = servers.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let servers = servers.clone();
                let service = service_fn(move |request| answer(servers.clone(), request));
                tokio::spawn(async move {
                    // A client may close the connection at any time.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { url, task })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    servers: Servers,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The body is ignored, but reading it lets the connection be reused.
    let _ = request.into_body().collect().await;
    let (status, body) = match servers.token().await {
        Ok(token) => {
            let body = json!({
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": token.lifetime.as_secs(),
            });
            (StatusCode::OK, body)
        }
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "error": "temporarily_unavailable" }),
        ),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
