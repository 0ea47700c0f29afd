//! A client, an API and a token server on a simulated network that is cut, slowed and healed, while
//! servers crash. Nothing hangs, no refresh token is lost, and all is well again by itself.
//!
//! `TOWER_AUTH_SIMULATIONS` sets how many seeds are run.

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
/// So long things happen to the network.
const TROUBLE: Duration = Duration::from_secs(90);
/// Then so long, at most, things are not well yet: the longest backoff, a deadline, and a bit.
const RECOVERY: Duration = Duration::from_secs(60);
const WELL: Duration = Duration::from_secs(30);
/// An exchange with the API that takes longer fails.
const PATIENCE: Duration = Duration::from_secs(5);
/// Two exchanges, the wait for a refresh before each, and a bit.
const LONGEST_CALL: Duration = Duration::from_secs(32);

/// What came of the calls.
#[derive(Debug, Default)]
struct Calls {
    succeeded: AtomicUsize,
    failed: AtomicUsize,
}

#[test]
fn the_client_recovers_from_any_network_failure() {
    simulate_all(Servers::default, trouble);
}

/// An answer whose head has come is waited for, however late its body is: what it brings is spent
/// already.
#[test]
fn no_token_response_is_lost_however_slow_it_is() {
    simulate_all(Servers::strict, slowness);
}

fn simulate_all(start: fn() -> Servers, trouble: Trouble) {
    let seeds = match env::var("TOWER_AUTH_SIMULATIONS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 20,
    };
    let (mut refreshes, mut failed, mut succeeded, mut rejected) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let servers = start();
        let calls = simulate(seed, &servers, trouble);
        let known = servers.lock();
        assert_eq!(known.lost, 0, "seed {seed}: a refresh token was lost");
        assert_eq!(known.bare, 0, "seed {seed}: a request without credential");
        refreshes += known.refreshes;
        rejected += known.rejected;
        failed += calls.failed.load(SeqCst);
        succeeded += calls.succeeded.load(SeqCst);
    }
    println!(
        "{seeds} simulations: {succeeded} calls succeeded, {failed} failed, {rejected} rejections, \
         {refreshes} refreshes reached the server"
    );
    assert!(failed > 0 && rejected > 0, "there was no trouble");
}

fn simulate(seed: u64, servers: &Servers, trouble: Trouble) -> Arc<Calls> {
    let mut rng = Rng::with_seed(seed);
    // The jitter of the layer too.
    fastrand::seed(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(10))
        .simulation_duration(TROUBLE + RECOVERY + WELL + LONGEST_CALL * 2)
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
    let mut healed = false;
    let outcome = loop {
        if !healed && sim.elapsed() >= TROUBLE {
            heal(&mut sim, servers);
            healed = true;
        }
        if !healed && sim.elapsed() >= next {
            trouble(&mut sim, &mut rng, servers);
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

/// Makes one more thing go wrong, or mends it.
type Trouble = fn(&mut Sim<'_>, &mut Rng, &Servers);

/// Whatever can happen to a network, its hosts, and tokens.
fn trouble(sim: &mut Sim<'_>, rng: &mut Rng, servers: &Servers) {
    let host = if rng.bool() { API } else { AUTH };
    match rng.u8(0..9) {
        0 => sim.partition(CLIENT, host),
        // Requests arrive, answers don't.
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

/// Nothing that the token server is sent or sends is lost.
fn slowness(sim: &mut Sim<'_>, rng: &mut Rng, servers: &Servers) {
    match rng.u8(0..4) {
        0 => {
            // The way to an answer's head is four messages long, which is within the deadline.
            let latency = Duration::from_millis(rng.u64(1..2000));
            sim.set_link_max_message_latency(CLIENT, AUTH, latency);
        }
        1 | 2 => servers.pause(Duration::from_millis(rng.u64(0..25_000))),
        _ => servers.revoke(),
    }
}

fn heal(sim: &mut Sim<'_>, servers: &Servers) {
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

/// Workers that call the API all the time, through one layer.
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
    let api = tower::timeout::Timeout::new(service_fn(network::send), PATIENCE);
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
    while start.elapsed() < TROUBLE + RECOVERY + WELL {
        let is_well = start.elapsed() > TROUBLE + RECOVERY;
        let request = Request::get(format!("https://{API}/")).body(Full::default())?;
        let call = service.ready().await?.call(request);
        let outcome = timeout(LONGEST_CALL, call)
            .await
            .map_err(|_| format!("a call hangs since {:?}", start.elapsed() - LONGEST_CALL))?;
        match outcome {
            Ok(response) if response.status() == StatusCode::OK => {
                calls.succeeded.fetch_add(1, SeqCst);
            }
            Ok(response) if is_well => return Err(response.status().as_str().into()),
            Err(error) if is_well => return Err(error),
            _ => {
                calls.failed.fetch_add(1, SeqCst);
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
