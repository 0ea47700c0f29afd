//! The API, which checks the requests that it receives.

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use tokio::time::sleep;
use tower::Service;
use tower_auth::{BoxError, CloneBody};

use crate::{program::Api, world::Shared};

/// A body with the number of its request.
pub(crate) struct Payload {
    pub(crate) request: usize,
    pub(crate) replayable: bool,
}

impl CloneBody for Payload {
    fn try_clone_body(&self) -> Option<Self> {
        let Payload {
            request,
            replayable,
        } = *self;
        replayable.then_some(Self {
            request,
            replayable,
        })
    }
}

/// The API.
pub(crate) struct Server {
    shared: Shared,
    /// Set by `poll_ready`.
    ready: bool,
}

impl Server {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared,
            ready: false,
        }
    }
}

impl Clone for Server {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Service<Request<Payload>> for Server {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        assert!(mem::take(&mut self.ready), "called without being ready");
        let [token] = bearer_of(&request)[..] else {
            panic!("sent without a credential, or with several");
        };
        let mut state = self.shared.lock();
        let (status, after) = match state.api {
            Api::Works { after } if token >= state.accepts_from => (200, after),
            Api::Works { after } => (401, after),
            Api::DeniesAll => (401, Duration::ZERO),
            Api::IsDown => (503, Duration::ZERO),
        };
        state
            .reference
            .arrives(request.body().request, token, status);
        async move {
            sleep(after).await;
            let response = Response::builder().status(status);
            Ok(response.body(Full::from("the server's own words"))?)
        }
        .boxed()
    }
}

fn bearer_of(request: &Request<Payload>) -> Vec<usize> {
    let values = request.headers().get_all(AUTHORIZATION).iter();
    let number = |value: &HeaderValue| {
        let number = value.to_str().ok()?.strip_prefix("Bearer t")?;
        number.parse().ok()
    };
    values.filter_map(number).collect()
}
