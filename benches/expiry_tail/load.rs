//! Requests at a fixed rate, and their latencies.

use std::{thread, time::Duration};

use hdrhistogram::Histogram;
use http::{Request, Response, StatusCode};
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};
use tower::{Service, ServiceExt};
use tower_auth::BoxError;

use crate::support::{
    Body,
    servers::{Servers, request},
};

#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Requests per second.
    pub(crate) rate: u32,
    pub(crate) time: Duration,
}

pub(crate) struct Run {
    samples: Vec<Sample>,
    /// In microseconds.
    latencies: Histogram<u64>,
    pub(crate) refused: u64,
    pub(crate) token_requests: u64,
}

struct Sample {
    /// Since the start of the run.
    intended: Duration,
    latency: Duration,
    accepted: bool,
}

impl Load {
    /// Sends the load through a service that already has a token.
    pub(crate) async fn run<S>(self, servers: &Servers, service: S) -> Run
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let first = service.clone().oneshot(request()).await;
        assert_eq!(first.expect("an answer").status(), StatusCode::OK);
        let runtime = Handle::current();
        // The load generator has a separate thread, so that requests cannot delay it.
        let generator = thread::spawn(move || self.send(&service, &runtime));
        let sent = tokio::task::spawn_blocking(move || generator.join());
        let sent = sent.await.expect("a thread").expect("all requests");
        let mut samples = Vec::with_capacity(sent.len());
        for request in sent {
            samples.push(request.await.expect("requests do not panic"));
        }
        Run::new(samples, servers.token_requests())
    }

    fn send<S>(self, service: &S, runtime: &Handle) -> Vec<JoinHandle<Sample>>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let interval = Duration::from_secs(1) / self.rate;
        let number = (self.time.as_secs_f64() * f64::from(self.rate)) as u32;
        let start = Instant::now();
        let send = |index| {
            let intended = interval * index;
            // The sleep may end early.
            while let Some(left) = (start + intended).checked_duration_since(Instant::now()) {
                if left.is_zero() {
                    break;
                }
                thread::park_timeout(left);
            }
            let response = service.clone().oneshot(request());
            runtime.spawn(async move {
                let response = response.await;
                Sample {
                    intended,
                    latency: start.elapsed() - intended,
                    accepted: response.is_ok_and(|response| response.status().is_success()),
                }
            })
        };
        (0..number).map(send).collect()
    }
}

impl Run {
    fn new(samples: Vec<Sample>, token_requests: u64) -> Self {
        let mut latencies = Histogram::new(3).expect("a histogram");
        for sample in &samples {
            let micros = sample.latency.as_micros() as u64;
            latencies.record(micros).expect("a latency");
        }
        let refused = samples.iter().filter(|sample| !sample.accepted).count() as u64;
        Self {
            samples,
            latencies,
            refused,
            token_requests,
        }
    }

    /// Returns a percentile of the latencies, in milliseconds.
    pub(crate) fn percentile(&self, percentile: f64) -> f64 {
        self.latencies.value_at_percentile(percentile) as f64 / 1e3
    }

    pub(crate) fn slower_than(&self, millis: f64) -> usize {
        let slow = |sample: &&Sample| sample.latency.as_secs_f64() * 1e3 > millis;
        self.samples.iter().filter(slow).count()
    }

    /// Returns the slowest request of each interval: its time in seconds, and its latency in
    /// milliseconds.
    pub(crate) fn slowest_of_each(&self, piece: Duration) -> Vec<(f64, f64)> {
        let number = |sample: &Sample| sample.intended.as_nanos() / piece.as_nanos();
        let pieces = self
            .samples
            .chunk_by(|one, other| number(one) == number(other));
        pieces
            .filter_map(|samples| {
                let slowest = samples.iter().max_by_key(|sample| sample.latency)?;
                let millis = slowest.latency.as_secs_f64() * 1e3;
                Some((samples.first()?.intended.as_secs_f64(), millis))
            })
            .collect()
    }
}
