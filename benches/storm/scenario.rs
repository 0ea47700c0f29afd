//! The scenarios and their results.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tower::{Service, ServiceExt};
use tower_auth::BoxError;

use crate::support::{
    Body,
    servers::{Servers, request},
};

/// The latency of the token endpoint.
pub(crate) const LATENCY: Duration = Duration::from_millis(200);
/// The time after which callers count as having no response.
const PATIENCE: Duration = LATENCY.saturating_mul(10);
/// The time until a short-lived token has expired.
const OVER: Duration = Duration::from_millis(1100);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Fresh,
    Cold,
    Expired,
    Revoked,
    Failing,
    LeaderDropped,
}

pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario::Fresh,
    Scenario::Cold,
    Scenario::Expired,
    Scenario::Revoked,
    Scenario::Failing,
    Scenario::LeaderDropped,
];

pub(crate) struct Outcome {
    pub(crate) token_requests: u64,
    pub(crate) failed: u64,
    pub(crate) unauthorized: u64,
    pub(crate) without_answer: u64,
    /// Seconds until the last response.
    pub(crate) last: f64,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Cold => "cold",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Failing => "failing",
            Self::LeaderDropped => "leader dropped",
        }
    }

    /// Prepares the state before the callers start. `short` is the lifetime of a token that is
    /// unusable after one second.
    pub(crate) async fn prepare<S>(self, servers: &Servers, service: S, short: Duration)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
    {
        match self {
            Self::Cold | Self::LeaderDropped => {}
            Self::Failing => servers.fail(),
            Self::Fresh => succeed(service).await,
            Self::Revoked => {
                succeed(service).await;
                servers.revoke();
            }
            Self::Expired => {
                servers.set_lifetime(short);
                succeed(service).await;
                sleep(OVER).await;
                servers.set_lifetime(Duration::from_secs(3600));
            }
        }
    }

    /// Runs the given number of callers at once.
    pub(crate) async fn run<S>(self, servers: &Servers, service: S, callers: usize) -> Outcome
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let before = servers.token_requests();
        let start = Instant::now();
        if self == Self::LeaderDropped {
            let leader = call(service.clone());
            while servers.token_requests() == before {
                yield_now().await;
            }
            tokio::spawn(async move {
                sleep_until(start + LATENCY / 2).await;
                leader.abort();
            });
        }
        let callers: Vec<_> = (0..callers).map(|_| call(service.clone())).collect();
        let mut outcome = Outcome {
            token_requests: 0,
            failed: 0,
            unauthorized: 0,
            without_answer: 0,
            last: 0.0,
        };
        for mut caller in callers {
            let Ok(ended) = timeout_at(start + PATIENCE, &mut caller).await else {
                caller.abort();
                outcome.without_answer += 1;
                continue;
            };
            let (status, at) = ended.expect("callers do not panic");
            match status {
                Some(StatusCode::UNAUTHORIZED) => outcome.unauthorized += 1,
                Some(_) => {}
                None => outcome.failed += 1,
            }
            outcome.last = outcome.last.max((at - start).as_secs_f64());
        }
        if outcome.without_answer > 0 {
            outcome.last = PATIENCE.as_secs_f64();
        }
        outcome.token_requests = servers.token_requests() - before;
        outcome
    }
}

/// Starts one caller. Returns the status that it received, and when.
fn call<S>(service: S) -> JoinHandle<(Option<StatusCode>, Instant)>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    tokio::spawn(async move {
        let status = service
            .oneshot(request())
            .await
            .map(|answer| answer.status());
        (status.ok(), Instant::now())
    })
}

async fn succeed<S>(service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
{
    let response = service.oneshot(request()).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
}
