//! The measured services.

use std::time::Duration;

use http::{HeaderValue, Request};
use tower::{Layer, Service};
use tower_auth::{Auth, AuthLayer, Issued, Origins, Provider, credential::Bearer, provider_fn};

use crate::{
    baselines::{CloneInsert, Insert},
    request::{Answer, Body, Parts, Server, exchange},
};

/// A measured service, and the function that sends its requests.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The name of the row's baseline.
    pub(crate) baseline: Option<&'static str>,
    pub(crate) future_bytes: usize,
    serve: Box<dyn FnMut(u64)>,
}

impl Row {
    /// Returns all rows, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::new("bare", Server),
            Self::new("insert", insert()),
            Self::new("clone_insert", clone_insert()),
            Self::new("auth no_retry", auth_no_retry()).against("insert"),
            Self::new("auth", auth()).against("clone_insert"),
            Self::new("auth static", auth_static()).against("insert"),
            Self::cloned("insert cloned", insert()),
            Self::cloned("clone_insert cloned", clone_insert()),
            Self::cloned("auth no_retry cloned", auth_no_retry()).against("insert cloned"),
            Self::cloned("auth cloned", auth()).against("clone_insert cloned"),
        ]
    }

    /// Sends the given number of requests.
    pub(crate) fn run(&mut self, requests: u64) {
        (self.serve)(requests);
    }

    fn new<S>(name: &'static str, mut service: S) -> Self
    where
        S: Service<Request<Body>, Response = Answer> + 'static,
    {
        Self::over::<S>(name, move |parts| exchange(&mut service, parts))
    }

    fn cloned<S>(name: &'static str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Answer> + Clone + 'static,
    {
        Self::over::<S>(name, move |parts| exchange(&mut service.clone(), parts))
    }

    fn over<S: Service<Request<Body>>>(
        name: &'static str,
        mut serve: impl FnMut(&Parts) + 'static,
    ) -> Self {
        let parts = Parts::new();
        Self {
            name,
            baseline: None,
            future_bytes: size_of::<S::Future>(),
            serve: Box::new(move |requests| {
                for _ in 0..requests {
                    serve(&parts);
                }
            }),
        }
    }

    fn against(mut self, baseline: &'static str) -> Self {
        self.baseline = Some(baseline);
        self
    }
}

pub(crate) fn insert() -> Insert<Server> {
    Insert {
        inner: Server,
        value: value(),
    }
}

fn clone_insert() -> CloneInsert<Server> {
    CloneInsert {
        inner: Server,
        value: value(),
    }
}

pub(crate) fn auth() -> Auth<Server, Bearer> {
    warm(&AuthLayer::new(refreshed(), origins()))
}

fn auth_no_retry() -> Auth<Server, Bearer> {
    warm(&AuthLayer::new(refreshed(), origins()).retry(false))
}

fn auth_static() -> Auth<Server, Bearer> {
    warm(&AuthLayer::new(bearer(), origins()))
}

/// Returns a service that already has its credential, so that it needs no runtime.
fn warm<P>(layer: &AuthLayer<P>) -> Auth<Server, Bearer>
where
    P: Provider<Credential = Bearer>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime
        .block_on(layer.handle().credential())
        .expect("a credential");
    layer.layer(Server)
}

fn refreshed() -> impl Provider<Credential = Bearer> {
    provider_fn(|_| async {
        let lifetime = Duration::from_secs(3600);
        Ok(Issued::new(bearer()).expires_in(lifetime))
    })
}

fn origins() -> Origins {
    Origins::only("https://api.example.com").expect("an origin")
}

fn bearer() -> Bearer {
    Bearer::new(token()).expect("a token")
}

fn value() -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token())).expect("a header value");
    value.set_sensitive(true);
    value
}

fn token() -> String {
    "t".repeat(256)
}
