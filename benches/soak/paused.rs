//! Hours of operation, run within seconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response, header::AUTHORIZATION};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_auth::{
    AuthLayer, BoxError, Handle, Issued, Origins, Provider, ProviderError, credential::Bearer,
    provider_fn,
};

use crate::growth::Held;

const WORKERS: usize = 20;

#[derive(Default)]
struct World {
    issued: AtomicUsize,
    /// The number of the first token that the API accepts.
    accepted_from: AtomicUsize,
    answers: AtomicUsize,
    failures: AtomicUsize,
}

pub(crate) fn soak(time: Duration) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = Arc::new(World::default());
        let origins = Origins::only("https://api.example.com").unwrap();
        let layer = AuthLayer::new(provider(Arc::clone(&world)), origins);
        run(&layer, &world, time / 5).await;
        let early = Held::now();
        run(&layer, &world, time - time / 5).await;
        early.check("paused time");
        println!(
            "{} s of paused time: {} responses, {} failures, {} refreshes",
            time.as_secs(),
            world.answers.load(SeqCst),
            world.failures.load(SeqCst),
            world.issued.load(SeqCst)
        );
    });
}

/// Creates a provider of tokens that last a minute, from an endpoint that is sometimes slow, fails
/// or hangs.
fn provider(world: Arc<World>) -> impl Provider<Credential = Bearer> {
    provider_fn(move |_| {
        let world = Arc::clone(&world);
        async move {
            let number = world.issued.fetch_add(1, SeqCst);
            match fastrand::u8(..20) {
                0 => sleep(Duration::from_secs(1000)).await,
                1 | 2 => return Err(ProviderError::transient("busy")),
                _ => sleep(Duration::from_millis(fastrand::u64(..2000))).await,
            }
            let token = Bearer::new(format!("{number}")).map_err(ProviderError::permanent)?;
            Ok(Issued::new(token).expires_in(Duration::from_secs(60)))
        }
    })
}

async fn run<P: Provider<Credential = Bearer>>(
    layer: &AuthLayer<P>,
    world: &Arc<World>,
    time: Duration,
) {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..WORKERS {
        let server = Arc::clone(world);
        let service = layer.layer(service_fn(move |request| {
            answer(Arc::clone(&server), request)
        }));
        let world = Arc::clone(world);
        tasks.spawn(async move {
            while Instant::now() < end {
                let request = Request::get("https://api.example.com/").body(String::new());
                let call = service.clone().oneshot(request.unwrap());
                // Some callers time out.
                let patience = Duration::from_millis(fastrand::u64(..20_000));
                match timeout(patience, call).await {
                    Ok(Ok(response)) if response.status() == 200 => &world.answers,
                    _ => &world.failures,
                }
                .fetch_add(1, SeqCst);
                sleep(Duration::from_millis(fastrand::u64(..2000))).await;
            }
        });
    }
    tasks.spawn(disturb(layer.handle(), Arc::clone(world), end));
    tasks.join_all().await;
    // Waits longer than any refresh or backoff takes.
    sleep(Duration::from_secs(600)).await;
}

async fn answer(world: Arc<World>, request: Request<String>) -> Result<Response<String>, BoxError> {
    sleep(Duration::from_millis(fastrand::u64(..100))).await;
    let token = request.headers()[AUTHORIZATION].to_str()?;
    let number: usize = token.trim_start_matches("Bearer ").parse()?;
    let mut response = Response::new("x".repeat(1000));
    if number < world.accepted_from.load(SeqCst) {
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}

/// Causes revocations, logouts and new credentials.
async fn disturb(handle: Handle<Bearer>, world: Arc<World>, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_secs(fastrand::u64(1..120))).await;
        match fastrand::u8(..10) {
            0 => handle.invalidate(),
            1 => {
                let _ = handle.log_out().await;
                handle.resume();
            }
            2 => {
                let number = world.issued.fetch_add(1, SeqCst);
                handle.set_credential(Issued::new(Bearer::new(format!("{number}")).unwrap()));
            }
            _ => world.accepted_from.store(world.issued.load(SeqCst), SeqCst),
        }
    }
}
