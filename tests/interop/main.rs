//! Tests the crate against real servers: each flow sends requests through an `AuthLayer` to a
//! server over loopback. `tests/interop/run` installs the servers and runs all flows.
//!
//! A server whose programs are not installed is skipped and listed at the end of the output. With
//! `TOWER_AUTH_REQUIRE_SERVERS=1`, that is a failure. An argument selects the flows whose name
//! (`server flow`) contains it: `cargo test --all-features --test interop -- doorkeeper`.
//!
//! A flow is an `async fn(&Server) -> Result<(), BoxError>`, listed in the `SUITE` of its server's
//! file. It fails by returning an error or by panicking.

mod apache;
mod browser;
mod client;
mod digest;
mod doorkeeper;
mod flow;
mod glewlwyd;
mod login;
mod needs;
mod oidc_provider;
mod process;
mod report;
mod server;
mod temp;

use std::process::ExitCode;

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::signal::unix::{SignalKind, signal};

use flow::Suite;
use report::Report;

const SUITES: [&Suite; 5] = [
    &doorkeeper::SUITE,
    &oidc_provider::SUITE,
    &glewlwyd::SUITE,
    &apache::SUITE,
    &digest::SUITE,
];

#[tokio::main]
async fn main() -> ExitCode {
    let required = std::env::var("TOWER_AUTH_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    // Prints no backtrace: a panic is a failed flow, and its location is enough.
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    // An interrupt drops the servers, so that none keeps running.
    tokio::select! {
        report = run(&chosen) => report.close(required),
        () = interrupted() => ExitCode::FAILURE,
    }
}

/// Runs the suites concurrently, because they mostly wait for tokens to expire.
async fn run(chosen: &[String]) -> Report {
    let mut running: FuturesUnordered<_> = SUITES.iter().map(|suite| suite.run(chosen)).collect();
    let mut report = Report::default();
    while let Some(lines) = running.next().await {
        report.add(lines);
    }
    report
}

async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be caught");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
