//! Requests per second on one core and on two.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use http::Request;
use tower::Service;

use crate::{
    request::{Answer, Body, Parts, Server, exchange},
    rows,
    time::now,
};

const BATCH: u64 = 20;
/// The length of one measurement window.
const WINDOW: Duration = Duration::from_millis(2);
/// The number of consecutive windows per service. The system needs some of them to assign a core to
/// each task.
const WINDOWS: usize = 50;

/// The requests per second of a service in its best window, because other load only ever reduces
/// them.
pub(crate) struct Scaling {
    pub(crate) name: &'static str,
    pub(crate) one: f64,
    pub(crate) two: f64,
}

/// Measures all services, the bare one first.
pub(crate) fn measure(quick: bool) -> Vec<Scaling> {
    let rounds = if quick { 2 } else { 25 };
    let (insert, auth) = (rows::insert(), rows::auth());
    let mut best = [[0.0_f64; 2]; 3];
    for _ in 0..rounds {
        for cores in [1, 2] {
            let found = [
                throughput(&Server, cores),
                throughput(&insert, cores),
                throughput(&auth, cores),
            ];
            for (best, found) in best.iter_mut().zip(found) {
                best[cores - 1] = best[cores - 1].max(found);
            }
        }
    }
    ["bare", "insert", "auth"]
        .into_iter()
        .zip(best)
        .map(|(name, [one, two])| Scaling { name, one, two })
        .collect()
}

impl Scaling {
    pub(crate) fn quotient(&self) -> f64 {
        self.two / self.one
    }
}

/// Returns the requests per second of the given number of tasks, each with its own clone, in the
/// best of several windows.
fn throughput<S>(service: &S, tasks: usize) -> f64
where
    S: Service<Request<Body>, Response = Answer> + Clone + Send,
{
    let tasks: Vec<_> = (0..tasks).map(|_| Counted::default()).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for task in &tasks {
            let (mut service, stop) = (service.clone(), &stop);
            scope.spawn(move || {
                // Created here, so that this thread allocates the parts.
                let parts = Parts::new();
                while !stop.load(Ordering::Relaxed) {
                    (0..BATCH).for_each(|_| exchange(&mut service, &parts));
                    task.0.fetch_add(BATCH, Ordering::Relaxed);
                }
            });
        }
        let samples: Vec<_> = (0..=WINDOWS)
            .map(|_| Sample::after(WINDOW, &tasks))
            .collect();
        stop.store(true, Ordering::Relaxed);
        samples
            .windows(2)
            .map(|pair| pair[0].rate_until(&pair[1]))
            .fold(0.0, f64::max)
    })
}

/// One task's number of requests, on separate cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Counted(AtomicU64);

struct Sample {
    before: Instant,
    requests: u64,
    after: Instant,
}

impl Sample {
    fn after(time: Duration, tasks: &[Counted]) -> Self {
        let from = now();
        // The sleep may end early.
        while let Some(left) = time.checked_sub(from.elapsed()) {
            thread::park_timeout(left);
        }
        let before = now();
        let requests = tasks
            .iter()
            .map(|task| task.0.load(Ordering::Relaxed))
            .sum();
        let after = now();
        Self {
            before,
            requests,
            after,
        }
    }

    /// Returns the rate. An interruption while this thread takes samples can only lower the result.
    fn rate_until(&self, later: &Self) -> f64 {
        (later.requests - self.requests) as f64 / (later.after - self.before).as_secs_f64()
    }
}
