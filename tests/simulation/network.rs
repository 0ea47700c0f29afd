//! HTTP over the simulated network, without TLS: the URLs are https, but the bytes are plain.

use std::{convert::Infallible, future::Future, net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming, client::conn::http1 as client, server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tower_auth::BoxError;
use turmoil::net::{TcpListener, TcpStream};

use crate::servers::ServerResponse;

const PORT: u16 = 443;

/// Sends a request on a separate connection.
pub(crate) async fn send(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BoxError> {
    let host = request.uri().host().ok_or("no host")?.to_owned();
    let stream = TcpStream::connect((host, PORT)).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Responds to requests until the host crashes.
pub(crate) async fn serve<R, F>(respond: R) -> Result<(), Box<dyn std::error::Error>>
where
    R: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = ServerResponse> + Send,
{
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let respond = Arc::new(respond);
    loop {
        let (stream, _) = listener.accept().await?;
        let respond = Arc::clone(&respond);
        tokio::spawn(async move {
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(respond(request).await) });
            // A client that has disconnected is not a server error.
            let _ = server::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
