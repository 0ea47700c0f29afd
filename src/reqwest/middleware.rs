//! The middleware for reqwest-middleware.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, Method, Uri, uri::InvalidUri};
use reqwest::{Request, Response};
use reqwest_middleware::{Error as MiddlewareError, Middleware, Next, Result};

use super::service::without_query;
use crate::{
    body::Drain,
    cache::{Acquired, Handle, Snapshot},
    credential::{AnyRequestHead, Credential, SentHead},
    error::Error,
    flow::{Attempt, Flow, Next as Then, NotAttached, NotRetried, Verdict},
    layer::AuthLayer,
    provider::Provider,
};

/// Does for reqwest-middleware what [`AuthLayer`] does for tower; made by
/// [`AuthLayer::middleware`].
///
/// A request is marked with [`SkipAuth`](crate::SkipAuth) by reqwest-middleware's
/// `with_extension`. A request whose body is a stream is sent once. Errors of this middleware are
/// an [`Error`] in the `Middleware` variant, found by downcasting.
///
/// Put it inside of a retry middleware, so that each try goes out with the credential of then:
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_auth::{AuthLayer, Origins, reqwest::same_origin_redirects, credential::Bearer};
///
/// # fn main() -> Result<(), tower_auth::BoxError> {
/// let layer = AuthLayer::new(Bearer::new("token")?, Origins::only("https://api.example.com")?);
/// let client = reqwest::Client::builder().redirect(same_origin_redirects()).build()?;
/// let client = ClientBuilder::new(client)
///     // .with(RetryTransientMiddleware::new_with_policy(..)) goes here, before
///     .with(layer.middleware())
///     .build();
/// # let _ = client; Ok(()) }
/// ```
pub struct AuthMiddleware<P: Provider> {
    flow: Flow<P::Credential>,
}

impl<P: Provider> AuthLayer<P> {
    /// The same for reqwest-middleware. It shares the credential with this layer's services.
    #[must_use]
    pub fn middleware(&self) -> AuthMiddleware<P> {
        AuthMiddleware { flow: self.flow() }
    }
}

impl<P: Provider> AuthMiddleware<P> {
    /// The way to the credential from outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Credential> {
        Handle::new(Arc::clone(&self.flow.cache))
    }

    /// The credential for a request, or why it is sent without one.
    async fn credential(
        &self,
        head: &Head<'_>,
    ) -> std::result::Result<std::result::Result<Arc<Snapshot<P::Credential>>, NotAttached>, Error>
    {
        if let Some(why) = self.flow.admit(&head.uri, head.extensions)? {
            return Ok(Err(why));
        }
        match self.flow.acquire(head) {
            Ok(Acquired::Use(snapshot)) => Ok(Ok(snapshot)),
            Ok(Acquired::Wait(wait)) => wait.outcome().await.map(Ok),
            Ok(Acquired::Fail(error)) => Err(error),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Sends a request with this credential, and again as the flow says.
    async fn drive(
        &self,
        mut request: Request,
        mut snapshot: Arc<Snapshot<P::Credential>>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let flow = &self.flow;
        let (mut retried, mut answered) = (false, false);
        loop {
            let wanted = if retried {
                P::Credential::HANDLES_CHALLENGES
            } else {
                flow.wants_copy(&snapshot)
            };
            let copy = if wanted { request.try_clone() } else { None };
            if let Some(why) = attach(flow, &snapshot.credential, &mut request, extensions)? {
                return pass(request, extensions, next, why).await;
            }
            let head = sent_head::<P::Credential>(&mut request, extensions)?;
            let response = next.clone().run(request, extensions).await;
            let mut response = response.map_err(|error| match error {
                MiddlewareError::Reqwest(error) => without_query(error).into(),
                other => other,
            })?;
            let (head, status) = (head.as_deref(), response.status());
            let verdict = flow.judge(&snapshot, head, status, response.headers());
            if verdict == Verdict::Accepted {
                return Ok(response);
            }
            let attempt = Attempt {
                retried,
                answered,
                replayable: copy.is_some(),
            };
            let then = flow.follow(&snapshot, verdict, response.headers(), attempt);
            let newer = match then {
                Then::Return(None) => return Ok(response),
                Then::Return(Some(why)) => Err(why),
                Then::Answer => Ok(None),
                Then::Retry(newer) => Ok(Some(newer)),
                Then::Wait(wait) => flow.renewed(&snapshot, wait.outcome().await).map(Some),
            };
            let again = newer.and_then(|newer| {
                let copy = copy.ok_or(NotRetried::BodyNotReplayable)?;
                Ok((newer, copy))
            });
            match again {
                Ok((newer, copy)) => {
                    request = copy;
                    answered = newer.is_none();
                    if let Some(newer) = newer {
                        snapshot = newer;
                        retried = true;
                    }
                    flow.resent(&snapshot, answered);
                }
                Err(why) => {
                    flow.not_retried(why, response.extensions_mut());
                    return Ok(response);
                }
            }
            let body = http::Response::<reqwest::Body>::from(response).into_body();
            let limit = flow.policy.drain;
            if let Some(drain) = Drain::new(body, limit.bytes, limit.time) {
                drain.await;
            }
        }
    }
}

#[async_trait]
impl<P: Provider> Middleware for AuthMiddleware<P> {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let credential = match Head::of(&mut request, extensions) {
            Ok(head) => self.credential(&head).await,
            // It is not known where that would go. reqwest will have its say about it.
            Err(_) => Ok(Err(NotAttached::OtherOrigin)),
        };
        match credential.map_err(MiddlewareError::middleware)? {
            Ok(snapshot) => self.drive(request, snapshot, extensions, next).await,
            Err(why) => pass(request, extensions, next, why).await,
        }
    }
}

impl<P: Provider> Clone for AuthMiddleware<P> {
    fn clone(&self) -> Self {
        Self {
            flow: self.flow.clone(),
        }
    }
}

impl<P: Provider> fmt::Debug for AuthMiddleware<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("policy", &self.flow.policy)
            .finish_non_exhaustive()
    }
}

/// Sends a request as it came.
async fn pass(
    request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
    why: NotAttached,
) -> Result<Response> {
    let mut response = next.run(request, extensions).await?;
    response.extensions_mut().insert(why);
    Ok(response)
}

/// Puts the credential on a request.
fn attach<C: Credential>(
    flow: &Flow<C>,
    credential: &C,
    request: &mut Request,
    extensions: &Extensions,
) -> Result<Option<NotAttached>> {
    let mut head = Head::of(request, extensions).map_err(MiddlewareError::middleware)?;
    let before = head.uri.clone();
    let kept = flow
        .attach(credential, &mut head)
        .map_err(MiddlewareError::middleware)?;
    if head.uri != before {
        let url = reqwest::Url::parse(&head.uri.to_string());
        *request.url_mut() = url.map_err(MiddlewareError::middleware)?;
    }
    Ok(kept)
}

/// What has to be kept of a request with its credential.
fn sent_head<C: Credential>(
    request: &mut Request,
    extensions: &Extensions,
) -> Result<Option<Box<SentHead>>> {
    if !C::HANDLES_CHALLENGES {
        return Ok(None);
    }
    let head = Head::of(request, extensions).map_err(MiddlewareError::middleware)?;
    Ok(Flow::<C>::sent_head(&head))
}

/// The head of a reqwest request. Its URL is kept as a URI meanwhile.
struct Head<'a> {
    request: &'a mut Request,
    uri: Uri,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    fn of(
        request: &'a mut Request,
        extensions: &'a Extensions,
    ) -> std::result::Result<Self, InvalidUri> {
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
