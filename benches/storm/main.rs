//! Many callers at once, just when there is no token: `cargo bench --bench storm`.
//!
//! The API and the token endpoint are services in memory; the endpoint takes 200 ms for an answer,
//! so that is the limit. All callers are started at once, each as a task of its own with its own
//! clone of the service, on a runtime with a thread per core. The time to the last answer begins
//! before the first of them is started.
//!
//! - `fresh`: there is a token. It takes as long as the machine needs for that many callers, which
//!   every other scenario has on top of its limit.
//! - `cold`: there is no token yet. `expired`: it expired while nobody called.
//! - `revoked`: the server does not accept it any more, and all callers come with it.
//! - `failing`: there is no token, and the endpoint answers with an error, as slowly. All callers fail.
//! - `leader dropped`: as `cold`, but the first caller, for whom the token was asked, is gone when half
//!   the time is over.
//!
//! Beside it: what people write by hand (see `support/by_hand.rs`), until 10 times the latency are
//! over; callers who have no answer then are `without answer`.
//!
//! Times are medians of several runs, everything else is the worst of them. `BENCH_QUICK=1` takes
//! one run with few callers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that fails has nothing else to do"
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

/// The shortest lifetime there is.
const SHORT: Duration = Duration::from_secs(1);

/// The services that are measured.
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
        // Nothing that takes turns for seconds gets better by being done again.
        let runs = if client == Client::Auth { runs } else { 1 };
        for scenario in SCENARIOS {
            for &callers in sizes {
                let outcomes = (0..runs).map(|_| runtime.block_on(client.meet(scenario, callers)));
                rows.push(Row {
                    client,
                    scenario,
                    callers,
                    outcome: together(outcomes.collect()),
                });
            }
        }
    }
    draw(&rows, *sizes.last().expect("a size") as f64)?;
    report(&rows).finish()?;
    Ok(())
}

impl Client {
    async fn meet(self, scenario: Scenario, callers: usize) -> Outcome {
        let servers = Servers::new(LATENCY, Duration::from_secs(3600));
        match self {
            Self::Auth => {
                let layer = AuthLayer::new(servers.provider(), origins());
                run(scenario, &servers, layer.layer(servers.api()), callers).await
            }
            Self::Mutex | Self::NoLock => {
                let fetch = match self {
                    Self::Mutex => Fetch::UnderLock,
                    _ => Fetch::BesideLock,
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

/// The median of the times, the worst of everything else.
fn together(outcomes: Vec<Outcome>) -> Outcome {
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
            "without answer",
            "last answer, ms",
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
        title: "Token requests when the first caller gives up",
        x: ("callers", 100.0..most),
        y: ("token requests", 0.9..most),
        lines: lines.collect(),
        names: SeriesLabelPosition::UpperLeft,
    };
    lines.over_logarithmic_x("storm.svg")
}
