//! Clients that take one type of request body only.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

/// Turns the body of each request into the type that the client beneath takes.
///
/// A client with one body type of its own (tonic's `Channel`, for one) cannot be sent the
/// replayable body of a [`ReplayLayer`](super::ReplayLayer). This layer goes between
/// [`AuthLayer`](crate::AuthLayer) and such a client.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_auth::{BoxError, ReplayBody, ReplayLayer, body::MapBodyLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let client = service_fn(async |request: Request<UnsyncBoxBody<_, BoxError>>| {
///     Ok::<_, BoxError>(Response::new(request.into_body().collect().await?.to_bytes()))
/// });
/// let service = ServiceBuilder::new()
///     .layer(ReplayLayer::new())
///     // `AuthLayer` goes here.
///     .layer(MapBodyLayer::new(|body: ReplayBody<String>| body.boxed_unsync()))
///     .service(client);
/// assert_eq!(service.oneshot(Request::new("data".to_owned())).await?.into_body(), "data");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MapBodyLayer<F> {
    map: F,
}

impl<F> MapBodyLayer<F> {
    /// A layer that turns bodies by this function.
    pub fn new(map: F) -> Self {
        Self { map }
    }
}

impl<S, F: Clone> Layer<S> for MapBodyLayer<F> {
    type Service = MapBody<S, F>;

    fn layer(&self, inner: S) -> MapBody<S, F> {
        MapBody::new(inner, self.map.clone())
    }
}

impl<F> fmt::Debug for MapBodyLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBodyLayer").finish_non_exhaustive()
    }
}

/// Turns the body of each request into another type; made by [`MapBodyLayer`].
#[derive(Clone)]
pub struct MapBody<S, F> {
    inner: S,
    map: F,
}

impl<S, F> MapBody<S, F> {
    /// A service that turns bodies by this function.
    pub fn new(inner: S, map: F) -> Self {
        Self { inner, map }
    }

    /// The layer that makes such services.
    pub fn layer(map: F) -> MapBodyLayer<F> {
        MapBodyLayer::new(map)
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, F, B, T> Service<Request<B>> for MapBody<S, F>
where
    S: Service<Request<T>>,
    F: FnMut(B) -> T,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request.map(&mut self.map))
    }
}

impl<S: fmt::Debug, F> fmt::Debug for MapBody<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};
    use tower_service::Service;

    use super::*;

    #[test]
    fn it_is_ready_when_the_inner_service_is() {
        let (mock, mut handle) = tower_test::mock::pair::<Request<usize>, &str>();
        let mut service = MapBody::new(mock, |body: &str| body.len());
        handle.allow(0);
        let mut ready = task::spawn(());
        let mut is_ready =
            || ready.enter(|cx, _| Service::<Request<&str>>::poll_ready(&mut service, cx));
        assert_pending!(is_ready());
        handle.allow(1);
        assert_ready!(is_ready()).unwrap();
        assert_eq!(
            format!("{:?}", MapBodyLayer::new(|body: ()| body)),
            "MapBodyLayer { .. }"
        );
        assert!(format!("{service:?}").starts_with("MapBody { inner: "));
    }
}
