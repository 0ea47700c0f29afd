//! A gRPC service, in the form that `tonic-prost-build` makes of
//!
//! ```proto
//! package echo;
//! message Words { string text = 1; }
//! service Echo {
//!   rpc Say(Words) returns (Words);
//!   rpc Gather(stream Words) returns (Words);
//! }
//! ```

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    GrpcMethod, Request, Response, Status, Streaming,
    body::Body,
    client::{Grpc, GrpcService},
    codegen::{StdError, http},
    server,
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Words {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
pub(crate) struct EchoClient<T> {
    inner: Grpc<T>,
}

impl<T> EchoClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner: Grpc::new(inner),
        }
    }

    #[allow(dead_code, reason = "generated clients have it")]
    pub(crate) fn with_origin(inner: T, origin: http::Uri) -> Self {
        Self {
            inner: Grpc::with_origin(inner, origin),
        }
    }

    pub(crate) async fn say(&mut self, words: Words) -> Result<Response<Words>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/echo.Echo/Say");
        let mut request = Request::new(words);
        request
            .extensions_mut()
            .insert(GrpcMethod::new("echo.Echo", "Say"));
        self.inner.unary(request, path, ProstCodec::default()).await
    }

    pub(crate) async fn gather(
        &mut self,
        words: impl futures::Stream<Item = Words> + Send + 'static,
    ) -> Result<Response<Words>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/echo.Echo/Gather");
        let mut request = Request::new(words);
        request
            .extensions_mut()
            .insert(GrpcMethod::new("echo.Echo", "Gather"));
        self.inner
            .client_streaming(request, path, ProstCodec::default())
            .await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.inner.ready().await;
        ready.map_err(|error| Status::unknown(format!("not ready: {}", error.into())))
    }
}

pub(crate) trait Echo: Send + Sync + 'static {
    fn say(
        &self,
        request: Request<Words>,
    ) -> impl Future<Output = Result<Response<Words>, Status>> + Send;

    fn gather(
        &self,
        request: Request<Streaming<Words>>,
    ) -> impl Future<Output = Result<Response<Words>, Status>> + Send;
}

#[derive(Debug)]
pub(crate) struct EchoServer<T> {
    inner: Arc<T>,
}

impl<T> EchoServer<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl<T> Clone for EchoServer<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> server::NamedService for EchoServer<T> {
    const NAME: &'static str = "echo.Echo";
}

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

struct Say<T>(Arc<T>);

impl<T: Echo> server::UnaryService<Words> for Say<T> {
    type Response = Words;
    type Future = BoxFuture<Response<Words>, Status>;

    fn call(&mut self, request: Request<Words>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.say(request).await })
    }
}

struct Gather<T>(Arc<T>);

impl<T: Echo> server::ClientStreamingService<Words> for Gather<T> {
    type Response = Words;
    type Future = BoxFuture<Response<Words>, Status>;

    fn call(&mut self, request: Request<Streaming<Words>>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.gather(request).await })
    }
}

impl<T, B> tower::Service<http::Request<B>> for EchoServer<T>
where
    T: Echo,
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        let codec = ProstCodec::default();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/echo.Echo/Say" => server::Grpc::new(codec).unary(Say(inner), request).await,
                "/echo.Echo/Gather" => {
                    server::Grpc::new(codec)
                        .client_streaming(Gather(inner), request)
                        .await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
