//! The effect of an expiry on requests: `cargo bench --bench expiry_tail`.
//!
//! Sends 2,000 requests per second for 6 seconds, each at its own time regardless of the others
//! (open loop). Tokens last 2 s, and the token endpoint takes 200 ms. The API and the endpoint are
//! in-memory services, so little hides what a variant adds. A request's latency counts from the
//! time at which it was due, so it includes any delay caused by other requests.
//!
//! - `no expiry`: the layer with a token that does not expire. This is what the machine itself
//!   adds.
//! - `AuthLayer`: tokens expire, and are refreshed before that.
//! - `by hand`: a mutex around an optional token (see `support/by_hand.rs`).
//!
//! The variants take turns in 5 runs. The cost of expiries is the difference from `no expiry` in
//! the same run. The reported figures are medians of the runs. `BENCH_QUICK=1` makes one run of 3
//! s.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing benchmark should abort"
)]

mod load;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::time::Duration;

use plotters::chart::SeriesLabelPosition;
use tower::Layer;
use tower_auth::{AuthLayer, BoxError};

use self::{
    load::{Load, Run},
    support::{
        by_hand::{ByHand, Fetch},
        is_quick, median,
        picture::{Line, Lines},
        report::{Limit, Report, Table, count, number, text},
        servers::{Servers, origins},
    },
};

const LATENCY: Duration = Duration::from_millis(200);
const LIFETIME: Duration = Duration::from_secs(2);
const ENDLESS: Duration = Duration::from_secs(3600);
/// The bound on every request, in milliseconds.
const SLOW: f64 = 50.0;
/// The time that one point of the chart covers.
const POINT: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
enum Variant {
    NoExpiry,
    Auth,
    ByHand,
}

const VARIANTS: [(Variant, &str); 3] = [
    (Variant::Auth, "AuthLayer"),
    (Variant::ByHand, "by hand"),
    (Variant::NoExpiry, "no expiry"),
];
const AUTH: usize = 0;
const NO_EXPIRY: usize = 2;

/// The name of a figure, and the function that reads it from a run.
type Figure = (&'static str, fn(&Run) -> f64);

const FIGURES: [Figure; 4] = [
    ("p50", |run| run.percentile(50.0)),
    ("p99", |run| run.percentile(99.0)),
    ("p99.9", |run| run.percentile(99.9)),
    ("max", |run| run.percentile(100.0)),
];

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (seconds, runs) = if is_quick() { (3, 1) } else { (6, 5) };
    let load = Load {
        rate: 2000,
        time: Duration::from_secs(seconds),
    };
    let mut found = VARIANTS.map(|_| Vec::new());
    for _ in 0..runs {
        for ((variant, _), found) in VARIANTS.iter().zip(&mut found) {
            found.push(runtime.block_on(variant.bear(load)));
        }
    }
    draw(&found, load)?;
    report(&found, load).finish()?;
    Ok(())
}

impl Variant {
    async fn bear(self, load: Load) -> Run {
        let lifetime = match self {
            Self::NoExpiry => ENDLESS,
            Self::Auth | Self::ByHand => LIFETIME,
        };
        let servers = Servers::new(LATENCY, lifetime);
        match self {
            Self::NoExpiry | Self::Auth => {
                let layer = AuthLayer::new(servers.provider(), origins());
                load.run(&servers, layer.layer(servers.api())).await
            }
            Self::ByHand => {
                let service = ByHand::new(servers.api(), &servers, Fetch::UnderLock);
                load.run(&servers, service).await
            }
        }
    }
}

fn report(found: &[Vec<Run>], load: Load) -> Report {
    let mut report = Report::new("expiry_tail");
    let columns = [
        "",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "over 50 ms",
        "not 200",
        "token requests",
    ];
    let title = format!(
        "latency from the intended start: {} requests/s for {} s, median of {} runs",
        load.rate,
        load.time.as_secs(),
        found[AUTH].len(),
    );
    let mut table = Table::new(title, &columns);
    for ((_, name), runs) in VARIANTS.iter().zip(found) {
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
        let times = FIGURES.map(|(_, figure)| number(of(figure), 2));
        let counts = [
            of(|run| run.slower_than(SLOW) as f64),
            of(|run| run.refused as f64),
            of(|run| run.token_requests as f64),
        ];
        let counts = counts.map(|value| count(value as u64));
        table.row([text(*name)].into_iter().chain(times).chain(counts));
    }
    report.table(table);

    let columns = ["", "p50 ms", "p99 ms", "p99.9 ms", "max ms"];
    let mut table = Table::new("added to the same load without expiry", &columns);
    for ((_, name), runs) in VARIANTS.iter().zip(found).take(NO_EXPIRY) {
        let added = FIGURES.map(|(_, figure)| number(added(runs, &found[NO_EXPIRY], figure), 2));
        table.row([text(*name)].into_iter().chain(added));
    }
    report.table(table);

    for (name, figure) in FIGURES {
        report.aim(
            format!("expiry_tail: {name} added by expiries, ms"),
            Some(added(&found[AUTH], &found[NO_EXPIRY], figure)),
            Limit::AtMost(2.0),
        );
    }
    for index in [AUTH, NO_EXPIRY] {
        let worst = found[index].iter().map(|run| run.percentile(100.0));
        report.aim(
            format!(
                "expiry_tail: the slowest of all runs, {}, ms",
                VARIANTS[index].1
            ),
            worst.reduce(f64::max),
            Limit::AtMost(SLOW),
        );
    }
    let refused = found[AUTH].iter().map(|run| run.refused as f64);
    report.fact(
        "expiry_tail: failed requests",
        refused.reduce(f64::max),
        Limit::AtMost(0.0),
    );
    report
}

/// Returns the median difference between two variants in the same runs.
fn added(runs: &[Run], without: &[Run], figure: fn(&Run) -> f64) -> f64 {
    let pairs = runs.iter().zip(without);
    median(
        pairs
            .map(|(with, without)| figure(with) - figure(without))
            .collect(),
    )
}

/// Draws the last run of each variant.
fn draw(found: &[Vec<Run>], load: Load) -> Result<(), BoxError> {
    let lines = VARIANTS.iter().zip(found).filter_map(|((_, name), runs)| {
        Some(Line {
            name: (*name).to_owned(),
            points: runs.last()?.slowest_of_each(POINT),
        })
    });
    let lines = Lines {
        title: "Latency across expiries (the slowest request in each 20 ms)",
        x: ("seconds", 0.0..load.time.as_secs_f64()),
        y: ("ms", 0.01..2000.0),
        lines: lines.collect(),
        names: SeriesLabelPosition::UpperRight,
    };
    lines.over_linear_x("expiry_tail.svg")
}
