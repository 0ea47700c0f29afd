//! A generated gRPC client on a tonic channel, with unary and client-streaming calls. The server
//! revokes the token between calls.
//!
//! `cargo run --example tonic_client`

#[path = "../tests/support/echo.rs"]
mod echo;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::stream;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::tokio_stream::Empty,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;
use tower_auth::{
    AuthLayer, BoxError, Issued, Origins, ProviderError, ReplayBody, ReplayLayer,
    credential::Bearer, grpc, provider_fn,
};

use crate::echo::{
    Words,
    echo_client::EchoClient,
    echo_server::{self, EchoServer},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tokens = Tokens::default();
    let mut server = JoinSet::new();
    let address = serve(tokens.clone(), &mut server).await?;
    let url = format!("http://{address}");

    let issuer = tokens.clone();
    let provider = provider_fn(move |context| {
        let token = issuer.issue();
        println!("client: got {token} (reason: {})", context.reason());
        let token = Bearer::new(token).map_err(ProviderError::permanent);
        async move { Ok(Issued::new(token?)) }
    });
    let auth = AuthLayer::new(provider, Origins::for_relative_uris(&url)?)
        // gRPC reports a rejected token as a gRPC status instead of an HTTP 401.
        .rejected_if(grpc::is_unauthenticated);
    let stack = ServiceBuilder::new()
        // The request body is a stream. The part already sent is kept for a retry, up to this size.
        .layer(ReplayLayer::new().cap(1024 * 1024))
        .layer(auth)
        // A channel accepts only tonic's own body type.
        .map_request(|request: http::Request<ReplayBody<Body>>| request.map(Body::new))
        .service(Channel::from_shared(url)?.connect_lazy());
    let mut client = EchoClient::new(stack);

    let reply = client.say(Words::from("hello")).await?;
    println!(
        "client: the unary call returned: {}",
        reply.into_inner().text
    );

    tokens.revoke();
    let reply = client.say(Words::from("hello again")).await?;
    println!(
        "client: the unary call returned: {}",
        reply.into_inner().text
    );

    tokens.revoke();
    let stream = stream::iter(["one ", "two ", "three"].map(Words::from));
    let reply = client.gather(stream).await?;
    println!(
        "client: the streaming call returned: {}",
        reply.into_inner().text
    );
    Ok(())
}

/// The server's tokens. The newest one is valid until it is revoked.
#[derive(Clone, Default)]
struct Tokens {
    issued: Arc<AtomicUsize>,
    revoked: Arc<AtomicUsize>,
}

impl Tokens {
    fn issue(&self) -> String {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        format!("token-{number}")
    }

    fn revoke(&self) {
        let number = self.issued.load(Ordering::SeqCst);
        self.revoked.store(number, Ordering::SeqCst);
        println!("server: revoked token-{number}");
    }

    fn check(&self, request: &Request<()>) -> Result<(), Status> {
        let sent = request.metadata().get("authorization");
        let sent = sent.and_then(|sent| sent.to_str().ok()?.strip_prefix("Bearer token-"));
        let number = sent.and_then(|number| number.parse().ok());
        if number.is_some_and(|number: usize| number > self.revoked.load(Ordering::SeqCst)) {
            return Ok(());
        }
        println!("server: UNAUTHENTICATED");
        Err(Status::unauthenticated("not a valid token"))
    }
}

async fn serve(tokens: Tokens, tasks: &mut JoinSet<()>) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = EchoServer::with_interceptor(Echo, move |request| {
        tokens.check(&request)?;
        Ok(request)
    });
    tasks.spawn(async move {
        let router = Server::builder().add_service(service);
        let incoming = TcpIncoming::from(listener);
        if let Err(error) = router.serve_with_incoming(incoming).await {
            eprintln!("server: {error:#}");
        }
    });
    Ok(address)
}

struct Echo;

#[tonic::async_trait]
impl echo_server::Echo for Echo {
    async fn say(&self, request: Request<Words>) -> Result<Response<Words>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn gather(&self, request: Request<Streaming<Words>>) -> Result<Response<Words>, Status> {
        let mut stream = request.into_inner();
        let mut text = String::new();
        while let Some(words) = stream.message().await? {
            text.push_str(&words.text);
        }
        Ok(Response::new(Words { text }))
    }

    type TellStream = Empty<Result<Words, Status>>;

    async fn tell(&self, _: Request<Words>) -> Result<Response<Self::TellStream>, Status> {
        Err(Status::unimplemented(
            "this example has no server streaming",
        ))
    }
}
