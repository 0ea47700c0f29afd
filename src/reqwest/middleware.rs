//! The layer as a middleware for reqwest-middleware.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Extensions, HeaderMap, Method, Uri, uri::InvalidUri};
use reqwest::{Request, Response};
use reqwest_middleware::{Error as MiddlewareError, Middleware, Next};

use super::service::without_query;
use crate::{
    body::Drain,
    cache::{Acquired, Handle, Snapshot},
    credential::{AnyRequestHead, Credential},
    error::Error,
    flow::{Classification, Decision, Exchange, Flow, NotAttached, Prepared},
    layer::AuthLayer,
    provider::Provider,
};

/// The equivalent of [`AuthLayer`] for reqwest-middleware. Created by [`AuthLayer::middleware`].
///
/// To mark a request with [`SkipAuth`](crate::SkipAuth), use reqwest-middleware's `with_extension`.
/// A request whose body is a stream is sent once. This middleware's own errors are in the
/// `Middleware` variant, and can be downcast to [`Error`].
///
/// Place it inside any retry middleware, so that every attempt uses the credential that is current
/// at that time:
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_auth::{AuthLayer, Origins, reqwest::same_origin_redirects, credential::Bearer};
///
/// # fn main() -> Result<(), tower_auth::BoxError> {
/// let layer = AuthLayer::new(Bearer::new("token")?, Origins::only("https://api.example.com")?);
/// let client = reqwest::Client::builder().redirect(same_origin_redirects()).build()?;
/// let client = ClientBuilder::new(client)
///     // .with(RetryTransientMiddleware::new_with_policy(...)) goes here, before
///     .with(layer.middleware())
///     .build();
/// # let _ = client; Ok(()) }
/// ```
pub struct AuthMiddleware<C> {
    flow: Flow<C>,
}

impl<P: Provider> AuthLayer<P> {
    /// Creates a middleware for reqwest-middleware. It shares the credential with the services of
    /// this layer.
    #[must_use]
    pub fn middleware(&self) -> AuthMiddleware<P::Credential> {
        AuthMiddleware { flow: self.flow() }
    }
}

impl<C: Credential> AuthMiddleware<C> {
    /// Returns a handle to the credential, for use outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<C> {
        Handle::new(Arc::clone(&self.flow.cache))
    }

    /// Returns the credential for a request, or the reason why it is sent without one.
    async fn credential(
        &self,
        head: &Head<'_>,
    ) -> Result<Result<Arc<Snapshot<C>>, NotAttached>, Error> {
        if let Some(why) = self.flow.policy.admit(&head.uri, head.extensions)? {
            return Ok(Err(why));
        }
        match self.flow.acquire(head) {
            Ok(Acquired::Use(snapshot)) => Ok(Ok(snapshot)),
            Ok(Acquired::Wait(wait)) => wait.outcome().await.map(Ok),
            Ok(Acquired::Fail(error)) => Err(error),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Sends a request with this credential, and again if the exchange requires it.
    async fn exchange(
        &self,
        mut request: Request,
        snapshot: Arc<Snapshot<C>>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, MiddlewareError> {
        let prepared = Prepared::new(self.flow.clone(), snapshot, ());
        let mut exchange = Exchange::new(Arc::new(prepared), None);
        loop {
            let copy = if exchange.wants_copy() {
                request.try_clone()
            } else {
                None
            };
            if let Some(why) = attach(&mut exchange, &mut request, extensions)? {
                return pass(request, extensions, next, why).await;
            }
            let response = next.clone().run(request, extensions).await;
            let mut response = response.map_err(|error| match error {
                MiddlewareError::Reqwest(error) => without_query(error).into(),
                other => other,
            })?;
            let class = exchange.classify(response.status(), response.headers());
            if class == Classification::Accepted {
                return Ok(response);
            }
            let resend = match exchange.decide(class, response.headers(), copy) {
                Decision::Return(why) => Err(why),
                Decision::Resend(copy) => Ok(copy),
                Decision::Wait(wait, copy) => match exchange.refreshed(wait.outcome().await) {
                    Ok(()) => Ok(copy),
                    Err(why) => Err(Some(why)),
                },
            };
            match resend {
                Ok(copy) => request = copy,
                Err(why) => {
                    exchange.not_retried(why, response.extensions_mut());
                    return Ok(response);
                }
            }
            let body = http::Response::<reqwest::Body>::from(response).into_body();
            let limit = exchange.drain_limit();
            if let Some(drain) = Drain::new(body, limit.bytes, limit.time) {
                drain.await;
            }
        }
    }
}

#[async_trait]
impl<C: Credential> Middleware for AuthMiddleware<C> {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, MiddlewareError> {
        let credential = match Head::new(&mut request, extensions) {
            Ok(head) => self.credential(&head).await,
            // The destination is unknown. reqwest reports its own error for such a URL.
            Err(_) => Ok(Err(NotAttached::OtherOrigin)),
        };
        match credential.map_err(MiddlewareError::middleware)? {
            Ok(snapshot) => self.exchange(request, snapshot, extensions, next).await,
            Err(why) => pass(request, extensions, next, why).await,
        }
    }
}

impl<C> Clone for AuthMiddleware<C> {
    fn clone(&self) -> Self {
        Self {
            flow: self.flow.clone(),
        }
    }
}

partial_debug!(AuthMiddleware<C>, policy = flow.policy);

/// Sends a request unchanged.
async fn pass(
    request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
    why: NotAttached,
) -> Result<Response, MiddlewareError> {
    let mut response = next.run(request, extensions).await?;
    response.extensions_mut().insert(why);
    Ok(response)
}

/// Puts the credential on a request.
fn attach<C: Credential>(
    exchange: &mut Exchange<C>,
    request: &mut Request,
    extensions: &Extensions,
) -> Result<Option<NotAttached>, MiddlewareError> {
    let mut head = Head::new(request, extensions).map_err(MiddlewareError::middleware)?;
    let before = head.uri.clone();
    let kept = exchange
        .attach(&mut head)
        .map_err(MiddlewareError::middleware)?;
    if head.uri != before {
        let url = reqwest::Url::parse(&head.uri.to_string());
        *request.url_mut() = url.map_err(MiddlewareError::middleware)?;
    }
    Ok(kept)
}

/// The head of a reqwest request, with its URL as a URI.
struct Head<'a> {
    request: &'a mut Request,
    uri: Uri,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    fn new(request: &'a mut Request, extensions: &'a Extensions) -> Result<Self, InvalidUri> {
        let uri = request.url().as_str().parse()?;
        Ok(Self {
            request,
            uri,
            extensions,
        })
    }
}

impl AnyRequestHead for Head<'_> {
    fn method(&self) -> &Method {
        self.request.method()
    }

    fn uri(&self) -> &Uri {
        &self.uri
    }

    fn uri_mut(&mut self) -> &mut Uri {
        &mut self.uri
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions
    }
}
