//! Variants that take turns.

use futures::future::{BoxFuture, join_all};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_auth::BoxError;

use crate::support::Body;

/// The load of one round of a variant.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) uri: Uri,
    /// The number of tasks. Each sends its requests in sequence, through a clone of the service.
    pub(crate) tasks: usize,
    /// The total number of requests of all tasks.
    pub(crate) requests: usize,
}

pub(crate) struct Variant {
    pub(crate) name: &'static str,
    round: Box<dyn Fn() -> BoxFuture<'static, f64>>,
}

impl Variant {
    pub(crate) fn new<S>(name: &'static str, service: S, load: &Load) -> Self
    where
        S: Service<Request<Body>, Response = Response<Incoming>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        let load = load.clone();
        Self {
            name,
            round: Box::new(move || Box::pin(round(service.clone(), load.clone()))),
        }
    }
}

/// Measures all variants. Returns the seconds per request, by round and variant.
pub(crate) async fn measure(variants: &[Variant], rounds: usize) -> Vec<Vec<f64>> {
    for variant in variants {
        (variant.round)().await;
    }
    let mut found = Vec::with_capacity(rounds);
    for first in 0..rounds {
        let mut seconds = vec![0.0; variants.len()];
        // A different variant starts each round, so that none always follows the same one.
        for offset in 0..variants.len() {
            let index = (first + offset) % variants.len();
            seconds[index] = (variants[index].round)().await;
        }
        found.push(seconds);
    }
    found
}

async fn round<S>(service: S, load: Load) -> f64
where
    S: Service<Request<Body>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let each = load.requests / load.tasks;
    let start = Instant::now();
    let tasks = (0..load.tasks).map(|_| {
        let (mut service, uri) = (service.clone(), load.uri.clone());
        tokio::spawn(async move {
            for _ in 0..each {
                exchange(&mut service, &uri).await.expect("an answer");
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("requests do not panic");
    }
    start.elapsed().as_secs_f64() / (each * load.tasks) as f64
}

/// Sends a request and reads the whole response.
async fn exchange<S>(service: &mut S, uri: &Uri) -> Result<(), BoxError>
where
    S: Service<Request<Body>, Response = Response<Incoming>>,
    S::Error: Into<BoxError>,
{
    let mut request = Request::new(Body::default());
    *request.uri_mut() = uri.clone();
    let service = service.ready().await.map_err(Into::into)?;
    let response = service.call(request).await.map_err(Into::into)?;
    assert!(response.status().is_success());
    response.into_body().collect().await?;
    Ok(())
}
