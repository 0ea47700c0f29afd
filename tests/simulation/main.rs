//! A client, an API and a token server on a simulated network that is cut, slowed and repaired,
//! while servers crash. No call hangs, no refresh token is lost, and the client recovers without
//! help.
//!
//! `TOWER_AUTH_SIMULATIONS` sets the number of seeds.

mod network;
mod servers;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::RefreshTokenGrant,
    store::{MemoryStore, StoreKey},
};
use turmoil::{Builder, Sim};

use self::servers::Servers;

const CLIENT: &str = "client";
const API: &str = "api.example.com";
const AUTH: &str = "auth.example.com";

const WORKERS: usize = 5;
/// The time during which the network has faults.
const FAULT_TIME: Duration = Duration::from_secs(90);
/// The maximum time until the client has recovered: the longest backoff, a deadline, and a margin.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(60);
const HEALTHY_TIME: Duration = Duration::from_secs(30);
/// The timeout of an exchange with the API.
const API_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum duration of a call: two exchanges, the wait for a refresh before each, and a margin.
const MAX_CALL: Duration = Duration::from_secs(32);

/// The results of the calls.
#[derive(Debug, Default)]
struct Calls {
    succeeded: AtomicUsize,
    failed: AtomicUsize,
}

#[test]
fn the_client_recovers_from_any_network_failure() {
    simulate_all(Servers::default, any_fault);
}

/// Once the head of a token response has arrived, the client waits for its body, however late: the
/// refresh token is already spent.
#[test]
fn no_token_response_is_lost_however_slow_it_is() {
    simulate_all(Servers::strict, slowness);
}

fn simulate_all(start: fn() -> Servers, fault: Fault) {
    let seeds = match env::var("TOWER_AUTH_SIMULATIONS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 20,
    };
    let (mut refreshes, mut failed, mut succeeded, mut rejected) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let servers = start();
        let calls = simulate(seed, &servers, fault);
        let known = servers.lock();
        assert_eq!(known.lost, 0, "seed {seed}: a refresh token was lost");
        assert_eq!(known.bare, 0, "seed {seed}: a request without a credential");
        refreshes += known.refreshes;
        rejected += known.rejected;
        failed += calls.failed.load(SeqCst);
        succeeded += calls.succeeded.load(SeqCst);
    }
    println!(
        "{seeds} simulations: {succeeded} calls succeeded, {failed} failed, {rejected} rejections, \
         {refreshes} refreshes reached the server"
    );
    assert!(failed > 0 && rejected > 0, "no fault had an effect");
}

fn simulate(seed: u64, servers: &Servers, fault: Fault) -> Arc<Calls> {
    let mut rng = Rng::with_seed(seed);
    // Also seeds the jitter of the layer.
    fastrand::seed(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(10))
        .simulation_duration(FAULT_TIME + MAX_RECOVERY_TIME + HEALTHY_TIME + MAX_CALL * 2)
        .build();
    let calls = Arc::new(Calls::default());
    let at = servers.clone();
    sim.host(AUTH, move || {
        let servers = at.clone();
        network::serve(move |request| servers.clone().token(request))
    });
    let at = servers.clone();
    sim.host(API, move || {
        let servers = at.clone();
        network::serve(move |request| servers.clone().api(request))
    });
    sim.client(CLIENT, client(Arc::clone(&calls)));

    let mut next = Duration::ZERO;
    let mut repaired = false;
    let outcome = loop {
        if !repaired && sim.elapsed() >= FAULT_TIME {
            repair(&mut sim, servers);
            repaired = true;
        }
        if !repaired && sim.elapsed() >= next {
            fault(&mut sim, &mut rng, servers);
            next = sim.elapsed() + Duration::from_millis(rng.u64(200..4000));
        }
        match sim.step() {
            Ok(false) => {}
            Ok(true) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(outcome.is_ok(), "seed {seed}: {outcome:?}");
    calls
}

/// Causes another fault, or repairs one.
type Fault = fn(&mut Sim<'_>, &mut Rng, &Servers);

/// Causes or repairs any fault of the network, its hosts or the tokens.
fn any_fault(sim: &mut Sim<'_>, rng: &mut Rng, servers: &Servers) {
    let host = if rng.bool() { API } else { AUTH };
    match rng.u8(0..9) {
        0 => sim.partition(CLIENT, host),
        // Requests arrive, but responses do not.
        1 => sim.partition_oneway(host, CLIENT),
        2 => sim.crash(host),
        3 | 4 => sim.repair(CLIENT, host),
        5 if !sim.is_host_running(host) => sim.bounce(host),
        6 => {
            sim.set_link_max_message_latency(CLIENT, host, Duration::from_millis(rng.u64(1..2000)))
        }
        7 => sim.set_link_fail_rate(CLIENT, host, rng.f64() / 20.0),
        _ => servers.revoke(),
    }
}

/// Slows the token server without losing a request or response.
fn slowness(sim: &mut Sim<'_>, rng: &mut Rng, servers: &Servers) {
    match rng.u8(0..4) {
        0 => {
            // The head of a response takes four messages, which is within the deadline.
            let latency = Duration::from_millis(rng.u64(1..2000));
            sim.set_link_max_message_latency(CLIENT, AUTH, latency);
        }
        1 | 2 => servers.pause(Duration::from_millis(rng.u64(0..25_000))),
        _ => servers.revoke(),
    }
}

fn repair(sim: &mut Sim<'_>, servers: &Servers) {
    servers.pause(Duration::ZERO);
    for host in [API, AUTH] {
        sim.repair(CLIENT, host);
        sim.set_link_fail_rate(CLIENT, host, 0.0);
        sim.set_link_max_message_latency(CLIENT, host, Duration::from_millis(50));
        if !sim.is_host_running(host) {
            sim.bounce(host);
        }
    }
}

/// Runs workers that call the API continuously, through one layer.
async fn client(calls: Arc<Calls>) -> Result<(), Box<dyn std::error::Error>> {
    let token_url = format!("https://{AUTH}/token");
    let provider = RefreshTokenGrant::builder(&token_url)
        .client_id("simulated")
        .store(
            MemoryStore::new(),
            StoreKey::issuer(&token_url).client("simulated"),
        )
        .refresh_token("r0")
        .http(service_fn(network::send))
        .build()?;
    let layer = AuthLayer::new(provider, Origins::only(format!("https://{API}"))?);
    let api = tower::timeout::Timeout::new(service_fn(network::send), API_TIMEOUT);
    let service = layer.layer(api);
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (service, calls) = (service.clone(), Arc::clone(&calls));
        workers.spawn(work(service, calls, start));
    }
    while let Some(worker) = workers.join_next().await {
        worker?.map_err(|error| error as Box<dyn std::error::Error>)?;
    }
    Ok(())
}

async fn work<S, R>(mut service: S, calls: Arc<Calls>, start: Instant) -> Result<(), BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<R>, Error = BoxError>,
{
    while start.elapsed() < FAULT_TIME + MAX_RECOVERY_TIME + HEALTHY_TIME {
        let is_healthy = start.elapsed() > FAULT_TIME + MAX_RECOVERY_TIME;
        let request = Request::get(format!("https://{API}/")).body(Full::default())?;
        let call = service.ready().await?.call(request);
        let outcome = timeout(MAX_CALL, call).await.map_err(|_| {
            format!(
                "a call has been hanging since {:?}",
                start.elapsed() - MAX_CALL
            )
        })?;
        match outcome {
            Ok(response) if response.status() == StatusCode::OK => {
                calls.succeeded.fetch_add(1, SeqCst);
            }
            Ok(response) if is_healthy => return Err(response.status().as_str().into()),
            Err(error) if is_healthy => return Err(error),
            _ => {
                calls.failed.fetch_add(1, SeqCst);
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
