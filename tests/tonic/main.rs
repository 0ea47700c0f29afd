//! A generated client over a tonic channel, against a real tonic server.

#[path = "../support/echo.rs"]
mod echo;
mod server;

use std::{
    error::Error as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{StreamExt, channel::mpsc, join, stream};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, body::Body, transport::Channel};
use tower::{Layer, ServiceBuilder, util::MapRequest};
use tower_auth::{
    Auth, AuthLayer, Error, Issued, Origins, Provider, ReplayBody, ReplayLayer, body::Replay,
    credential::Bearer, grpc, provider_fn,
};

use crate::{
    echo::{Words, echo_client::EchoClient},
    server::Echo,
};

/// A server that accepts `t1` at first, and the parts of a client for it.
struct Setup {
    server: Echo,
    address: SocketAddr,
    token_requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// The client's complete stack.
type Stack = Replay<Auth<MapRequest<Channel, ToBody>, Bearer>>;
type ToBody = fn(http::Request<ReplayBody<Body>>) -> http::Request<Body>;

impl Setup {
    async fn start() -> Self {
        let server = Echo::default();
        server.accept("t1");
        let mut tasks = JoinSet::new();
        let address = server.start(&mut tasks).await;
        Self {
            server,
            address,
            token_requests: Arc::default(),
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Allows requests with a relative URI, which the channel sends to the server.
    fn relative_origins(&self) -> Origins {
        Origins::for_relative_uris(self.url()).unwrap()
    }

    fn token_requests(&self) -> usize {
        self.token_requests.load(SeqCst)
    }

    /// Creates a layer whose provider issues `t1`, `t2` and so on.
    fn layer(&self, origins: Origins) -> AuthLayer<impl Provider<Credential = Bearer> + use<>> {
        let token_requests = Arc::clone(&self.token_requests);
        let provider = provider_fn(move |_| {
            let number = token_requests.fetch_add(1, SeqCst) + 1;
            async move {
                // Gives concurrent calls time to join the refresh.
                sleep(Duration::from_millis(20)).await;
                Ok(Issued::new(Bearer::new(format!("t{number}")).unwrap()))
            }
        });
        AuthLayer::new(provider, origins).rejected_if(grpc::is_unauthenticated)
    }

    fn stack<P>(&self, layer: &AuthLayer<P>, cap: usize) -> Stack
    where
        P: Provider<Credential = Bearer>,
    {
        let channel = Channel::from_shared(self.url()).unwrap().connect_lazy();
        ServiceBuilder::new()
            .layer(ReplayLayer::new().cap(cap))
            .layer_fn(|inner| layer.layer(inner))
            .map_request((|request| request.map(Body::new)) as ToBody)
            .service(channel)
    }

    fn client(&self) -> EchoClient<Stack> {
        EchoClient::new(self.stack(&self.layer(self.relative_origins()), 1024))
    }
}

#[tokio::test]
async fn unary_and_streaming_calls_carry_the_token() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    let reply = client.say(Words::from("hello")).await.unwrap();
    assert_eq!(reply.into_inner().text, "hello");
    let stream = stream::iter(["a", "b", "c"].map(Words::from));
    let reply = client.gather(stream).await.unwrap();
    assert_eq!(reply.into_inner().text, "abc");
    assert_eq!((setup.token_requests(), setup.server.rejections()), (1, 0));
}

/// P20.
#[tokio::test]
async fn a_unary_call_is_retried_after_a_revocation() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    client.say(Words::from("hello")).await.unwrap();
    setup.server.accept("t2");
    let reply = client.say(Words::from("again")).await.unwrap();
    assert_eq!(reply.into_inner().text, "again");
    assert_eq!((setup.token_requests(), setup.server.rejections()), (2, 1));
}

#[tokio::test]
async fn a_stream_started_with_a_revoked_token_is_replayed() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    client.say(Words::from("hello")).await.unwrap();
    setup.server.accept("t2");
    let stream = stream::iter(["a", "b", "c"].map(Words::from));
    let reply = client.gather(stream).await.unwrap();
    assert_eq!(reply.into_inner().text, "abc");
    assert_eq!((setup.token_requests(), setup.server.rejections()), (2, 1));
}

#[tokio::test]
async fn a_stream_whose_token_is_revoked_midway_is_replayed() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    client.say(Words::from("hello")).await.unwrap();
    let server = setup.server.clone();
    let last = stream::once(async move {
        server.accept("t2");
        "c"
    });
    let stream = stream::iter(["a", "b"]).chain(last).map(Words::from);
    let reply = client.gather(stream).await.unwrap();
    assert_eq!(reply.into_inner().text, "abc");
    assert_eq!((setup.token_requests(), setup.server.rejections()), (2, 1));
}

/// P29.
#[tokio::test]
async fn the_retry_takes_over_a_stream_rejected_before_its_end() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    client.say(Words::from("hello")).await.unwrap();
    setup.server.accept("t2");
    let (feed, stream) = mpsc::unbounded();
    let feeding = async {
        feed.unbounded_send(Words::from("a")).unwrap();
        setup.server.rejected().await;
        for text in ["b", "c"] {
            feed.unbounded_send(Words::from(text)).unwrap();
        }
        drop(feed);
    };
    let call = timeout(Duration::from_secs(20), client.gather(stream));
    let (reply, ()) = join!(call, feeding);
    let reply = reply.expect("timed out").unwrap();
    assert_eq!(reply.into_inner().text, "abc");
    assert_eq!((setup.token_requests(), setup.server.rejections()), (2, 1));
}

#[tokio::test]
async fn a_stream_over_the_cap_returns_the_original_rejection() {
    let setup = Setup::start().await;
    let mut client = EchoClient::new(setup.stack(&setup.layer(setup.relative_origins()), 16));
    client.say(Words::from("hello")).await.unwrap();
    let server = setup.server.clone();
    // By then the client has read more than the cap, so the body can no longer be replayed.
    let last = stream::once(async move {
        server.accept("t2");
        "end"
    });
    let long = stream::iter(["more than sixteen bytes"]).chain(last);
    let status = client.gather(long.map(Words::from)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "not a valid token");

    client.say(Words::from("next")).await.unwrap();
    let long = stream::iter(["more than sixteen bytes"]).map(Words::from);
    client.gather(long).await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

/// P14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_after_a_revocation_share_one_refresh() {
    let setup = Setup::start().await;
    let client = setup.client();
    client.clone().say(Words::from("hello")).await.unwrap();
    setup.server.accept("t2");
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let mut client = client.clone();
        calls.spawn(async move { client.say(Words::from("again")).await });
    }
    for reply in calls.join_all().await {
        assert_eq!(reply.unwrap().into_inner().text, "again");
    }
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn a_rejection_in_trailers_is_returned_and_can_be_reported() {
    let setup = Setup::start().await;
    let layer = setup.layer(setup.relative_origins());
    let mut client = EchoClient::new(setup.stack(&layer, 1024));
    let handle = layer.handle();

    let current = handle.credential().await.unwrap();
    let reply = client.tell(Words::from("one two")).await.unwrap();
    let mut stream = reply.into_inner();
    for expected in ["one", "two"] {
        assert_eq!(stream.message().await.unwrap().unwrap().text, expected);
    }
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!((setup.token_requests(), setup.server.tell_calls()), (1, 1));

    handle.reject(&current);
    setup.server.accept("t2");
    client.say(Words::from("next")).await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

/// P57.
#[tokio::test]
async fn the_error_for_a_call_without_a_host_names_the_fix() {
    let setup = Setup::start().await;
    let origins = Origins::only(setup.url()).unwrap();
    let mut client = EchoClient::new(setup.stack(&setup.layer(origins), 1024));
    let status = client.say(Words::from("hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    let message = status.message();
    assert!(message.contains("Origins::for_relative_uris"), "{message}");
    let error = status.source().and_then(|source| source.downcast_ref());
    assert!(error.is_some_and(|error: &Error| !error.is_provider()));
    assert_eq!((setup.token_requests(), setup.server.rejections()), (0, 0));
}

/// P57.
#[tokio::test]
async fn a_call_with_an_absolute_uri_matches_the_origin_policy() {
    let setup = Setup::start().await;
    let origins = Origins::only(setup.url()).unwrap();
    let stack = setup.stack(&setup.layer(origins), 1024);
    let mut client = EchoClient::with_origin(stack, setup.url().parse().unwrap());
    client.say(Words::from("hello")).await.unwrap();
    assert_eq!((setup.token_requests(), setup.server.rejections()), (1, 0));
}

#[tokio::test]
async fn a_call_to_another_origin_carries_no_token() {
    let setup = Setup::start().await;
    let stack = setup.stack(&setup.layer(setup.relative_origins()), 1024);
    let mut client = EchoClient::with_origin(stack, "https://example.com".parse().unwrap());
    let status = client.say(Words::from("hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!((setup.token_requests(), setup.server.rejections()), (0, 1));
}

/// The layer cannot see where a channel connects. The documentation warns about this.
#[tokio::test]
async fn a_channel_connects_to_its_endpoint_not_to_the_calls_origin() {
    let setup = Setup::start().await;
    let origins = Origins::only("https://example.com").unwrap();
    let stack = setup.stack(&setup.layer(origins), 1024);
    let mut client = EchoClient::with_origin(stack, "https://example.com".parse().unwrap());
    client.say(Words::from("hello")).await.unwrap();
    assert_eq!((setup.token_requests(), setup.server.rejections()), (1, 0));
}
