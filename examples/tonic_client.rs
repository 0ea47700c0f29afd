//! A generated gRPC client over a tonic channel, unary and client-streaming:
//! `cargo run --example tonic_client`.

#[path = "../tests/tonic/echo.rs"]
mod echo;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;
use tower_auth::{
    AuthLayer, BoxError, Issued, Origins, ProviderError, ReplayBody, ReplayLayer,
    body::MapBodyLayer, credential::Bearer, grpc, provider_fn,
};

use echo::{Echo, EchoClient, EchoServer, Words};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let valid = Valid::default();
    let mut server = JoinSet::new();
    let address = serve(&mut server, valid.clone()).await?;
    let url = format!("http://{address}");

    let provider = provider_fn({
        let valid = valid.clone();
        move |context| {
            println!("  (a token is asked for: {})", context.reason());
            let token = Bearer::new(valid.next()).map_err(ProviderError::permanent);
            async move { Ok(Issued::new(token?)) }
        }
    });
    let channel = Channel::from_shared(url.clone())?.connect_lazy();
    let service = ServiceBuilder::new()
        // The messages are a stream, which is kept for a retry while it is sent,
        .layer(ReplayLayer::new())
        // gRPC says in its own way that a token was rejected,
        .layer(
            AuthLayer::new(provider, Origins::relative_as(url)?)
                .rejected_if(grpc::is_unauthenticated),
        )
        // and a channel takes only tonic's own body.
        .layer(MapBodyLayer::new(|body: ReplayBody<Body>| Body::new(body)))
        .service(channel);
    let mut client = EchoClient::new(service);

    let reply = client.say(words("hello")).await?;
    println!("unary: {}", reply.into_inner().text);

    valid.revoke();
    println!("  (the server revokes the token)");
    let stream = futures::stream::iter(["one ", "two ", "three"].map(words));
    let reply = client.gather(stream).await?;
    println!("client-streaming: {}", reply.into_inner().text);
    Ok(())
}

fn words(text: &str) -> Words {
    Words {
        text: text.to_owned(),
    }
}

/// The token that the server accepts.
#[derive(Clone, Default)]
struct Valid {
    token: Arc<Mutex<String>>,
    issued: Arc<AtomicUsize>,
}

impl Valid {
    fn next(&self) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!("token-{number}");
        self.set(&token);
        token
    }

    fn revoke(&self) {
        self.set("none");
    }

    fn set(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match request.metadata().get("authorization") {
            Some(sent) if *sent == format!("Bearer {token}") => Ok(()),
            _ => Err(Status::unauthenticated("who are you?")),
        }
    }
}

impl Echo for Valid {
    async fn say(&self, request: Request<Words>) -> Result<Response<Words>, Status> {
        self.check(&request)?;
        Ok(Response::new(request.into_inner()))
    }

    async fn gather(&self, request: Request<Streaming<Words>>) -> Result<Response<Words>, Status> {
        self.check(&request)?;
        let mut all = String::new();
        let mut stream = request.into_inner();
        while let Some(words) = stream.message().await? {
            all.push_str(&words.text);
        }
        Ok(Response::new(Words { text: all }))
    }
}

async fn serve(tasks: &mut JoinSet<()>, valid: Valid) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let router = Server::builder().add_service(EchoServer::new(valid));
        if let Err(error) = router
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
        {
            eprintln!("the server failed: {error}");
        }
    });
    Ok(address)
}
