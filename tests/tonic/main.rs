//! A tonic channel with a generated client, and a real tonic server.

mod echo;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;
use tower_auth::{
    Auth, AuthLayer, Issued, Origins, Provider, ReplayBody, ReplayLayer,
    body::{MapBody, MapBodyLayer, Replay},
    credential::Bearer,
    grpc, provider_fn,
};

use echo::{Echo, EchoClient, EchoServer, Words};

/// Answers those who carry the valid token.
#[derive(Clone, Default)]
struct Answers {
    valid: Arc<Mutex<String>>,
    rejected: Arc<AtomicUsize>,
}

impl Answers {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let expected = format!("Bearer {}", self.valid.lock().unwrap());
        match request.metadata().get("authorization") {
            Some(sent) if *sent == expected => Ok(()),
            _ => {
                self.rejected.fetch_add(1, SeqCst);
                Err(Status::unauthenticated("who are you?"))
            }
        }
    }
}

impl Echo for Answers {
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

struct Setup {
    answers: Answers,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Setup {
    async fn start() -> Self {
        let answers = Answers::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = EchoServer::new(answers.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let incoming = TcpIncoming::from(listener);
            let router = Server::builder().add_service(service);
            router.serve_with_incoming(incoming).await.unwrap();
        });
        let setup = Self {
            answers,
            address,
            asked: Arc::default(),
            _server: server,
        };
        setup.accept("t1");
        setup
    }

    fn accept(&self, token: &str) {
        token.clone_into(&mut self.answers.valid.lock().unwrap());
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(self.url()).unwrap().connect_lazy()
    }

    /// Issues `t1`, `t2` and so on.
    fn layer(&self, origins: Origins) -> AuthLayer<impl Provider<Credential = Bearer> + use<>> {
        let asked = Arc::clone(&self.asked);
        let provider = provider_fn(move |_| {
            let number = asked.fetch_add(1, SeqCst) + 1;
            async move {
                sleep(Duration::from_millis(20)).await;
                Ok(Issued::new(Bearer::new(format!("t{number}")).unwrap()))
            }
        });
        AuthLayer::new(provider, origins).rejected_if(grpc::is_unauthenticated)
    }

    fn service(
        &self,
        cap: usize,
        origins: Origins,
    ) -> Replay<Auth<MapBody<Channel, ToBody>, impl Provider<Credential = Bearer> + use<>>> {
        let to_body: ToBody = Body::new;
        ServiceBuilder::new()
            .layer(ReplayLayer::new().cap(cap))
            .layer(self.layer(origins))
            .layer(MapBodyLayer::new(to_body))
            .service(self.channel())
    }

    fn bound(&self) -> Origins {
        Origins::relative_as(self.url()).unwrap()
    }
}

type ToBody = fn(ReplayBody<Body>) -> Body;

fn words(text: &str) -> Words {
    Words {
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn a_unary_call_carries_the_token_and_is_repeated_after_a_revocation() {
    let setup = Setup::start().await;
    let mut client = EchoClient::new(setup.service(1024, setup.bound()));
    assert_eq!(
        client.say(words("hello")).await.unwrap().into_inner().text,
        "hello"
    );
    setup.accept("t2");
    assert_eq!(
        client.say(words("again")).await.unwrap().into_inner().text,
        "again"
    );
    assert_eq!(
        (
            setup.asked.load(SeqCst),
            setup.answers.rejected.load(SeqCst)
        ),
        (2, 1)
    );
}

#[tokio::test]
async fn a_stream_within_the_cap_is_replayed_whole_after_a_revocation() {
    let setup = Setup::start().await;
    let mut client = EchoClient::new(setup.service(1024, setup.bound()));
    let stream = || stream::iter(["a", "b", "c"].map(words));
    assert_eq!(
        client.gather(stream()).await.unwrap().into_inner().text,
        "abc"
    );
    setup.accept("t2");
    assert_eq!(
        client.gather(stream()).await.unwrap().into_inner().text,
        "abc"
    );
    assert_eq!(setup.asked.load(SeqCst), 2);
}

/// The messages come while the server has answered already.
#[tokio::test]
async fn a_slow_stream_is_taken_over_by_the_retry() {
    let setup = Setup::start().await;
    let mut client = EchoClient::new(setup.service(1024, setup.bound()));
    client.say(words("warm")).await.unwrap();
    setup.accept("t2");
    let slow = stream::iter(["a", "b", "c"].map(words)).then(|words| async move {
        sleep(Duration::from_millis(50)).await;
        words
    });
    assert_eq!(client.gather(slow).await.unwrap().into_inner().text, "abc");
}

#[tokio::test]
async fn a_stream_beyond_the_cap_gets_the_servers_own_answer_and_the_next_call_works() {
    let setup = Setup::start().await;
    let mut client = EchoClient::new(setup.service(16, setup.bound()));
    client.say(words("warm")).await.unwrap();
    setup.accept("t2");
    let long = || stream::iter(vec![words("twelve chars"); 10]);
    let status = client.gather(long()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let mut outcome = client.gather(long()).await;
    while outcome
        .as_ref()
        .is_err_and(|status| status.code() == Code::Unauthenticated)
    {
        sleep(Duration::from_millis(10)).await;
        outcome = client.gather(long()).await;
    }
    assert_eq!(outcome.unwrap().into_inner().text.len(), 120);
    assert_eq!(setup.asked.load(SeqCst), 2);
}

/// P14.
#[tokio::test]
async fn a_hundred_calls_after_a_revocation_cause_one_refresh() {
    let setup = Setup::start().await;
    let client = EchoClient::new(setup.service(1024, setup.bound()));
    client.clone().say(words("warm")).await.unwrap();
    setup.accept("t2");
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let mut client = client.clone();
        calls.spawn(async move { client.say(words("x")).await.map(drop) });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(setup.asked.load(SeqCst), 2);
}

/// P57.
#[tokio::test]
async fn a_client_without_an_origin_needs_the_policy_to_name_it() {
    let setup = Setup::start().await;
    let absolute = Origins::only(setup.url()).unwrap();
    let mut client = EchoClient::new(setup.service(1024, absolute.clone()));
    let status = client.say(words("hello")).await.unwrap_err();
    assert!(
        status.message().contains("Origins::relative_as"),
        "{status}"
    );

    let uri = setup.url().parse().unwrap();
    let mut client = EchoClient::with_origin(setup.service(1024, absolute), uri);
    client.say(words("hello")).await.unwrap();
}
