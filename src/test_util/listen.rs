//! A listener on loopback for the test server.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

type ResponseFuture = BoxFuture<'static, Result<Response<String>, Infallible>>;

/// A listener that accepts connections until it is dropped, which also closes them.
pub(super) struct Listener {
    _task: JoinSet<()>,
}

impl Listener {
    pub(super) async fn start(
        respond: impl Fn(Request<Incoming>) -> ResponseFuture + Clone + Send + 'static,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else {
                            continue;
                        };
                        let service = service_fn(respond.clone());
                        let connection =
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        connections.spawn(async move {
                            // A client may disconnect at any time.
                            let _ = connection.await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok((Self { _task: task }, address))
    }
}
