//! HTTP over the simulated network. TLS is left out: the names are https, the bytes are plain.

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

use crate::servers::Answer;

const PORT: u16 = 443;

/// Sends a request on a connection of its own.
pub(crate) async fn send(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BoxError> {
    let host = request.uri().host().ok_or("no host")?.to_owned();
    let stream = TcpStream::connect((host, PORT)).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Answers requests until the host is crashed.
pub(crate) async fn serve<A, F>(answer: A) -> Result<(), Box<dyn std::error::Error>>
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let answer = Arc::new(answer);
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
            // A client that has left is no error of the server's.
            let _ = server::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
