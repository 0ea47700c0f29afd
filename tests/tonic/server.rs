//! A tonic server that accepts one token.

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
    tell_calls: AtomicUsize,
    rejected: Notify,
}

impl Echo {
    /// Makes `token` the only valid one.
    pub(crate) fn accept(&self, token: &str) {
        token.clone_into(&mut self.state.valid.lock().unwrap());
    }

    pub(crate) fn rejections(&self) -> usize {
        self.state.rejections.load(SeqCst)
    }

    pub(crate) fn tell_calls(&self) -> usize {
        self.state.tell_calls.load(SeqCst)
    }

    /// Waits for a rejection, and returns at once if one occurred since the last call.
    pub(crate) async fn rejected(&self) {
        self.state.rejected.notified().await;
    }

    pub(crate) async fn start(&self, tasks: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = self.clone();
        // An interceptor rejects before it reads the request's messages, with a response that has only
        // headers.
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

    /// Checks the token again at the end, because an upload can outlast its token.
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

    /// Sends the words, and then rejects the call in the trailers.
    async fn tell(&self, request: Request<Words>) -> Result<Response<Self::TellStream>, Status> {
        self.state.tell_calls.fetch_add(1, SeqCst);
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
