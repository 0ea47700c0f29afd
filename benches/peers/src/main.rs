//! Compares tower-auth with public crates that solve a similar problem, in the same storms:
//! `benches/peers/run` in the repository.
//!
//! The scenarios and their code are those of the crate's benches `storm` and `expiry_tail`. The API
//! is an in-memory service; the token endpoint is a server on loopback that takes 200 ms. Each peer
//! has its most favorable settings, and tokens with the lifetime that its refresh strategy
//! requires. `n/a` marks what a peer cannot do, with the reason.
//!
//! `BENCH_QUICK=1` uses fewer callers and one short run of the load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing benchmark should abort"
)]

mod clients;
mod endpoint;
#[path = "../../expiry_tail/load.rs"]
#[allow(dead_code, reason = "the benches of the crate use the rest")]
mod load;
#[path = "../../storm/scenario.rs"]
#[allow(dead_code, reason = "the benches of the crate use the rest")]
mod scenario;
#[path = "../../support/mod.rs"]
#[allow(dead_code, reason = "the benches of the crate use the rest")]
mod support;

use std::time::Duration;

use tower_auth::BoxError;

use self::{
    clients::{PEERS, Peer},
    endpoint::Endpoint,
    load::{Load, Run},
    scenario::{LATENCY, Outcome, Scenario},
    support::{
        is_quick, median,
        report::{Cell, Report, Table, count, number, text},
        servers::Servers,
    },
};

const SCENARIOS: [Scenario; 5] = [
    Scenario::Cold,
    Scenario::Expired,
    Scenario::Revoked,
    Scenario::Failing,
    Scenario::LeaderDropped,
];
const ENDLESS: Duration = Duration::from_secs(3600);

fn main() -> Result<(), BoxError> {
    // kube-client runs a program to get its tokens: this one.
    if let Some(answer) = clients::kube::plugin()? {
        println!("{answer}");
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut report = Report::new("peers");
    report.table(runtime.block_on(storms())?);
    report.table(runtime.block_on(tails())?);
    report.finish()?;
    Ok(())
}

async fn storms() -> Result<Table, BoxError> {
    let callers = if is_quick() { 100 } else { 1000 };
    let columns = [
        "peer",
        "scenario",
        "token requests",
        "failed",
        "401 seen",
        "without response",
        "last response, ms",
        "n/a because",
    ];
    let title = format!(
        "{callers} callers, token latency {} ms",
        LATENCY.as_millis()
    );
    let mut table = Table::new(title, &columns);
    for peer in &PEERS {
        for scenario in SCENARIOS {
            let cells = match (peer.cannot)(scenario) {
                Some(why) => reason(why, 5),
                None => figures(&storm(peer, scenario, callers).await?),
            };
            let names = [text(peer.name), text(scenario.name())];
            table.row(names.into_iter().chain(cells));
        }
    }
    Ok(table)
}

async fn storm(peer: &Peer, scenario: Scenario, callers: usize) -> Result<Outcome, BoxError> {
    let lifetime = match scenario {
        Scenario::Expired => peer.short,
        _ => ENDLESS,
    };
    let servers = Servers::new(LATENCY, lifetime);
    let endpoint = Endpoint::start(&servers).await?;
    let client = (peer.client)(servers.clone(), endpoint.url()).await?;
    scenario.prepare(&servers, client.clone(), peer.short).await;
    Ok(scenario.run(&servers, client, callers).await)
}

fn figures(outcome: &Outcome) -> Vec<Cell> {
    let counts = [
        outcome.token_requests,
        outcome.failed,
        outcome.unauthorized,
        outcome.without_answer,
    ];
    let counts = counts.into_iter().map(count);
    counts
        .chain([number(outcome.last * 1e3, 0), text("")])
        .collect()
}

fn reason(why: &str, figures: usize) -> Vec<Cell> {
    let none = (0..figures).map(|_| text("n/a"));
    none.chain([text(why)]).collect()
}

async fn tails() -> Result<Table, BoxError> {
    let (seconds, runs) = if is_quick() { (3, 1) } else { (6, 3) };
    let load = Load {
        rate: 2000,
        time: Duration::from_secs(seconds),
    };
    let columns = [
        "peer",
        "lifetime s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "over 50 ms",
        "not 200",
        "token requests",
    ];
    let title = format!(
        "latency from the intended start while tokens are refreshed about every 2 s: {} requests/s \
         for {seconds} s, median of {runs} runs",
        load.rate
    );
    // The peers take turns, so that other load on the machine affects all of them.
    let mut found = PEERS.map(|_| Vec::new());
    for _ in 0..runs {
        for (peer, found) in PEERS.iter().zip(&mut found) {
            let servers = Servers::new(LATENCY, peer.replaced_after_2s);
            let endpoint = Endpoint::start(&servers).await?;
            let client = (peer.client)(servers.clone(), endpoint.url()).await?;
            found.push(load.run(&servers, client).await);
        }
    }
    let mut table = Table::new(title, &columns);
    for (peer, found) in PEERS.iter().zip(&found) {
        let of = |figure: fn(&Run) -> f64| median(found.iter().map(figure).collect());
        table.row([
            text(peer.name),
            number(peer.replaced_after_2s.as_secs_f64(), 0),
            number(of(|run| run.percentile(50.0)), 2),
            number(of(|run| run.percentile(99.0)), 2),
            number(of(|run| run.percentile(99.9)), 2),
            number(of(|run| run.percentile(100.0)), 2),
            number(of(|run| run.slower_than(50.0) as f64), 0),
            number(of(|run| run.refused as f64), 0),
            number(of(|run| run.token_requests as f64), 0),
        ]);
    }
    Ok(table)
}
