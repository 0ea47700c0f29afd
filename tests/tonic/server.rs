//! A tonic server that answers those who carry the valid token.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};

use crate::echo::{Words, echo_server};

#[derive(Clone, Default)]
pub(crate) struct Echo {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    valid: Mutex<String>,
    rejections: AtomicUsize,
    /// How many times `tell` was called.
    told: AtomicUsize,
    rejected: Notify,
}

impl Echo {
    /// The only token that is valid from now on.
    pub(crate) fn accept(&self, token: &str) {
        token.clone_into(&mut self.state.valid.lock().unwrap());
    }

    pub(crate) fn rejections(&self) -> usize {
        self.state.rejections.load(SeqCst)
    }

    pub(crate) fn told(&self) -> usize {
        self.state.told.load(SeqCst)
    }

    /// Waits for a rejection, if there was none since the last time.
    pub(crate) async fn rejected(&self) {
        self.state.rejected.notified().await;
    }

    pub(crate) async fn start(&self, tasks: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = self.clone();
        // Its status comes in headers alone, and before the request's messages are read.
        let interceptor = move |request: Request<()>| {
            echo.check(request.metadata())?;
            Ok(request)
        };
        let service = echo_server::EchoServer::with_interceptor(self.clone(), interceptor);
        tasks.spawn(async move {
            let router = Server::builder().add_service(service);
            let incoming = TcpIncoming::from(listener);
            router.serve_with_incoming(incoming).await.unwrap();
        });
        address
    }

    fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let expected = format!("Bearer {}", self.state.valid.lock().unwrap());
        match metadata.get("authorization") {
            Some(sent) if *sent == expected => Ok(()),
            _ => Err(self.rejection()),
        }
    }

    fn rejection(&self) -> Status {
        self.state.rejections.fetch_add(1, SeqCst);
        self.state.rejected.notify_one();
        Status::unauthenticated("not a valid token")
    }
}

#[tonic::async_trait]
impl echo_server::Echo for Echo {
    async fn say(&self, request: Request<Words>) -> Result<Response<Words>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    /// Checks the token at the end again: an upload may take longer than a token lives.
    async fn gather(&self, request: Request<Streaming<Words>>) -> Result<Response<Words>, Status> {
        let metadata = request.metadata().clone();
        let mut stream = request.into_inner();
        let mut text = String::new();
        while let Some(words) = stream.message().await? {
            text.push_str(&words.text);
        }
        self.check(&metadata)?;
        Ok(Response::new(Words { text }))
    }

    type TellStream = BoxStream<'static, Result<Words, Status>>;

    /// Answers, and then rejects the call all the same: in trailers.
    async fn tell(&self, request: Request<Words>) -> Result<Response<Self::TellStream>, Status> {
        self.state.told.fetch_add(1, SeqCst);
        let words: Vec<_> = request
            .into_inner()
            .text
            .split(' ')
            .map(Words::from)
            .collect();
        let rejection = Err(self.rejection());
        let stream = stream::iter(words).map(Ok).chain(stream::iter([rejection]));
        Ok(Response::new(stream.boxed()))
    }
}
