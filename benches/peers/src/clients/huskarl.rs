//! huskarl's token cache and authorizer, in the loop from its guide.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use huskarl::{
    authorizer::HttpAuthorizer,
    cache::{InMemoryTokenCache, TokenError, TokenSource},
    core::{Error, RetryAdvice, platform::MaybeSendBoxFuture},
    grant::core::{RawTokenResponse, TokenResponse},
};
use tower::{service_fn, util::BoxCloneService};
use tower_auth::BoxError;

use super::{Peer, send};
use crate::support::{Body, servers::Servers};

pub(super) const PEER: Peer = Peer {
    name: "huskarl",
    short: Duration::from_secs(1),
    replaced_after_2s: Duration::from_secs(2),
    cannot: |_| None,
    client: |servers, _| {
        Box::pin(async move {
            let cache = InMemoryTokenCache::builder()
                .source(Source(servers.clone()))
                // These margins suit tokens that last one or two seconds: refreshes start early.
                .expires_margin(Duration::from_millis(100))
                .refresh_ahead(Duration::from_millis(700))
                .refresh_jitter(None)
                .build();
            let authorizer = Arc::new(HttpAuthorizer::builder().cache(cache).build());
            Ok(BoxCloneService::new(service_fn(move |request| {
                let (authorizer, servers) = (Arc::clone(&authorizer), servers.clone());
                async move { exchange(&authorizer, &servers, request).await }
            })))
        })
    },
};

/// The token endpoint, called without a network.
struct Source(Servers);

impl TokenSource for Source {
    fn token(&self) -> MaybeSendBoxFuture<'_, Result<Arc<TokenResponse>, TokenError>> {
        Box::pin(async move {
            let failed = |error: BoxError| Error::new(RetryAdvice::No, error);
            let token = self.0.token().await.map_err(|error| failed(error.into()))?;
            let raw = RawTokenResponse::builder()
                .access_token(token.text)
                .token_type("Bearer")
                .expires_in(token.lifetime.as_secs())
                .build();
            let token = raw.into_token_response(None, SystemTime::now());
            Ok(Arc::new(token.map_err(|error| failed(error.into()))?))
        })
    }
}

async fn exchange(
    authorizer: &HttpAuthorizer,
    servers: &Servers,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let header = header(authorizer, &request).await?;
    let response = send(servers, request.clone(), header).await?;
    authorizer.process_response(request.uri(), response.headers());
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    let header = self::header(authorizer, &request).await?;
    let uri = request.uri().clone();
    let response = send(servers, request, header).await?;
    authorizer.process_response(&uri, response.headers());
    Ok(response)
}

async fn header(
    authorizer: &HttpAuthorizer,
    request: &Request<Body>,
) -> Result<HeaderValue, BoxError> {
    let mut headers = authorizer
        .get_headers(request.method(), request.uri())
        .await?;
    headers.remove(AUTHORIZATION).ok_or("no token".into())
}
