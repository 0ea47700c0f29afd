//! Many concurrent callers without a token: `cargo bench --bench storm`.
//!
//! The API and the token endpoint are in-memory services. The endpoint takes 200 ms to respond, so
//! that is the lower bound. All callers start at once, each in a separate task with its own clone
//! of the service, on a runtime with one thread per core. The time to the last response is measured
//! from before the first caller starts.
//!
//! - `fresh`: there is a token. This takes as long as the machine needs for that many callers.
//!   Every other scenario needs that time in addition to its lower bound.
//! - `cold`: there is no token yet.
//! - `expired`: the token expired while there were no calls.
//! - `revoked`: the server no longer accepts the token, and all callers send it.
//! - `failing`: there is no token, and the endpoint responds with an error after 200 ms. All
//!   callers fail.
//! - `leader dropped`: like `cold`, but the first caller, which started the token request, times out
//!   after half of the endpoint's latency.
//!
//! For comparison, layers written by hand (see `support/by_hand.rs`) are stopped after 10 times
//! the latency. Callers that have no response by then count as `without response`.
//!
//! Times are medians of several runs; all other figures are the worst of the runs. `BENCH_QUICK=1`
//! makes one run with few callers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing benchmark should abort"
)]

mod scenario;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::time::Duration;

use http::{Request, Response};
use plotters::chart::SeriesLabelPosition;
use tower::{Layer, Service};
use tower_auth::{AuthLayer, BoxError};

use self::{
    scenario::{LATENCY, Outcome, SCENARIOS, Scenario},
    support::{
        Body,
        by_hand::{ByHand, Fetch},
        is_quick, median,
        picture::{Line, Lines},
        report::{Limit, Report, Table, count, number, text},
        servers::{Servers, origins},
    },
};

/// The shortest lifetime that a token can have.
const SHORT: Duration = Duration::from_secs(1);

/// The measured services.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Auth,
    Mutex,
    NoLock,
}

const CLIENTS: [(Client, &str); 3] = [
    (Client::Auth, "AuthLayer"),
    (Client::Mutex, "by hand, under a mutex"),
    (Client::NoLock, "by hand, no lock held"),
];

struct Row {
    client: Client,
    scenario: Scenario,
    callers: usize,
    outcome: Outcome,
}

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (sizes, runs): (&[usize], _) = if is_quick() {
        (&[100, 1000], 1)
    } else {
        (&[100, 1000, 10_000, 100_000], 5)
    };
    let mut rows = Vec::new();
    for (client, _) in CLIENTS {
        // Repeating a run that takes seconds does not make it more accurate.
        let runs = if client == Client::Auth { runs } else { 1 };
        for scenario in SCENARIOS {
            for &callers in sizes {
                let outcomes =
                    (0..runs).map(|_| runtime.block_on(client.run_scenario(scenario, callers)));
                rows.push(Row {
                    client,
                    scenario,
                    callers,
                    outcome: summarize(outcomes.collect()),
                });
            }
        }
    }
    draw(&rows, *sizes.last().expect("a size") as f64)?;
    report(&rows).finish()?;
    Ok(())
}

impl Client {
    async fn run_scenario(self, scenario: Scenario, callers: usize) -> Outcome {
        let servers = Servers::new(LATENCY, Duration::from_secs(3600));
        match self {
            Self::Auth => {
                let layer = AuthLayer::new(servers.provider(), origins());
                run(scenario, &servers, layer.layer(servers.api()), callers).await
            }
            Self::Mutex | Self::NoLock => {
                let fetch = match self {
                    Self::Mutex => Fetch::UnderLock,
                    _ => Fetch::OutsideLock,
                };
                let service = ByHand::new(servers.api(), &servers, fetch);
                run(scenario, &servers, service, callers).await
            }
        }
    }
}

async fn run<S>(scenario: Scenario, servers: &Servers, service: S, callers: usize) -> Outcome
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    scenario.prepare(servers, service.clone(), SHORT).await;
    scenario.run(servers, service, callers).await
}

/// Returns the median of the times, and the worst of everything else.
fn summarize(outcomes: Vec<Outcome>) -> Outcome {
    let worst = |what: fn(&Outcome) -> u64| outcomes.iter().map(what).max().unwrap_or(0);
    Outcome {
        token_requests: worst(|outcome| outcome.token_requests),
        failed: worst(|outcome| outcome.failed),
        unauthorized: worst(|outcome| outcome.unauthorized),
        without_answer: worst(|outcome| outcome.without_answer),
        last: median(outcomes.iter().map(|outcome| outcome.last).collect()),
    }
}

fn report(rows: &[Row]) -> Report {
    let mut report = Report::new("storm");
    for (client, name) in CLIENTS {
        let columns = [
            "scenario",
            "callers",
            "token requests",
            "failed",
            "401 seen",
            "without response",
            "last response, ms",
            "/ latency",
        ];
        let title = format!("{name}, token latency {} ms", LATENCY.as_millis());
        let mut table = Table::new(title, &columns);
        for row in rows.iter().filter(|row| row.client == client) {
            let outcome = &row.outcome;
            table.row([
                text(row.scenario.name()),
                count(row.callers as u64),
                count(outcome.token_requests),
                count(outcome.failed),
                count(outcome.unauthorized),
                count(outcome.without_answer),
                number(outcome.last * 1e3, 0),
                number(outcome.last / LATENCY.as_secs_f64(), 2),
            ]);
        }
        report.table(table);
    }
    aims(&mut report, rows);
    report
}

fn aims(report: &mut Report, rows: &[Row]) {
    let auth = || rows.iter().filter(|row| row.client == Client::Auth);
    let worst = |what: fn(&Row) -> u64| auth().map(what).max().map(|worst| worst as f64);
    report.fact(
        "storm: token requests, any scenario and number of callers",
        worst(|row| row.outcome.token_requests),
        Limit::AtMost(1.0),
    );
    report.fact(
        "storm: 401s seen by callers, any scenario",
        worst(|row| row.outcome.unauthorized),
        Limit::AtMost(0.0),
    );
    report.fact(
        "storm: callers failed while the endpoint works",
        auth()
            .filter(|row| row.scenario != Scenario::Failing)
            .map(|row| row.outcome.failed as f64)
            .reduce(f64::max),
        Limit::AtMost(0.0),
    );
    for (scenario, limit) in [(Scenario::Revoked, 1.5), (Scenario::Failing, 1.2)] {
        let row = auth().find(|row| row.scenario == scenario && row.callers == 1000);
        report.aim(
            format!("storm: {}, 1000 callers, / latency", scenario.name()),
            row.map(|row| row.outcome.last / LATENCY.as_secs_f64()),
            Limit::AtMost(limit),
        );
    }
}

fn draw(rows: &[Row], most: f64) -> Result<(), BoxError> {
    let lines = CLIENTS.iter().map(|(client, name)| Line {
        name: (*name).to_owned(),
        points: rows
            .iter()
            .filter(|row| row.client == *client && row.scenario == Scenario::LeaderDropped)
            .map(|row| (row.callers as f64, row.outcome.token_requests as f64))
            .collect(),
    });
    let lines = Lines {
        title: "Token requests if the first caller times out",
        x: ("callers", 100.0..most),
        y: ("token requests", 0.9..most),
        lines: lines.collect(),
        names: SeriesLabelPosition::UpperLeft,
    };
    lines.over_logarithmic_x("storm.svg")
}
