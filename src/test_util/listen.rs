//! A listener on loopback for the test server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tower_service::Service;

use super::TestServer;

/// Accepts connections until it is dropped, which also closes them.
pub(super) struct Listener {
    _task: JoinSet<()>,
}

impl Listener {
    pub(super) async fn start(server: TestServer) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server));
        Ok((Self { _task: task }, address))
    }
}

async fn serve(listener: TcpListener, server: TestServer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    continue;
                };
                let server = server.clone();
                let service = service_fn(move |request| server.clone().call(request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move {
                    // A client may disconnect at any time.
                    let _ = connection.await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
