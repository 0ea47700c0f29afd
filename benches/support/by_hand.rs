//! A careful version of what people write by hand: a mutex around an optional token, which is
//! formatted into each request. After a 401, the token is discarded if it is still the same one,
//! and requested once more.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use tokio::{sync::Mutex, time::Instant};
use tower::{Service, ServiceExt};
use tower_auth::BoxError;

use super::{
    Body,
    servers::{Servers, Token},
};

#[derive(Clone)]
pub(crate) struct ByHand<S> {
    inner: S,
    servers: Servers,
    token: Arc<Mutex<Option<(Token, Instant)>>>,
    fetch: Fetch,
}

/// Where the token is requested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// While the mutex is locked, so that other callers wait.
    UnderLock,
    /// Without holding a lock across an `.await`, so that every caller requests a token.
    OutsideLock,
}

impl<S> ByHand<S> {
    pub(crate) fn new(inner: S, servers: &Servers, fetch: Fetch) -> Self {
        Self {
            inner,
            servers: servers.clone(),
            token: Arc::default(),
            fetch,
        }
    }

    async fn token(&self) -> Result<String, BoxError> {
        let mut kept = self.token.lock().await;
        match &*kept {
            Some((token, expires)) if Instant::now() < *expires => return Ok(token.text.clone()),
            _ => {}
        }
        if self.fetch == Fetch::OutsideLock {
            drop(kept);
            let token = self.servers.token().await?;
            kept = self.token.lock().await;
            return Ok(Self::keep(&mut kept, token));
        }
        let token = self.servers.token().await?;
        Ok(Self::keep(&mut kept, token))
    }

    fn keep(kept: &mut Option<(Token, Instant)>, token: Token) -> String {
        let text = token.text.clone();
        *kept = Some((token.clone(), Instant::now() + token.lifetime));
        text
    }

    async fn forget(&self, rejected: &str) {
        self.token
            .lock()
            .await
            .take_if(|(token, _)| token.text == rejected);
    }
}

impl<S, R> Service<Request<Body>> for ByHand<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    R: Send,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let token = this.token().await?;
            let response = this.send(request.clone(), &token).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            this.forget(&token).await;
            this.send(request, &this.token().await?).await
        })
    }
}

impl<S, R> ByHand<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
    async fn send(&self, mut request: Request<Body>, token: &str) -> Result<Response<R>, BoxError> {
        let value = HeaderValue::try_from(format!("Bearer {token}"))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        self.inner
            .clone()
            .oneshot(request)
            .await
            .map_err(Into::into)
    }
}
