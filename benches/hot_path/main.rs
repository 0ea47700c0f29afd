//! The cost of the layer for a request that finds a fresh credential: `cargo bench --bench
//! hot_path`.
//!
//! Each row is one service, called in the same way over the same inner service:
//!
//! - `bare`: the inner service alone.
//! - `insert`: inserts a ready-made header value into the request. No layer that attaches a
//!   credential can do less. It is the baseline for `retry(false)`.
//! - `clone_insert`: also keeps a clone of the request until the response arrives. No layer that
//!   can retry a request can do less. It is the baseline for the layer with default settings.
//! - `auth`: the layer with a credential that is refreshed (one hour of lifetime); with
//!   `retry(false)`; and with a static credential.
//!
//! All services are long-lived. The `... cloned` rows clone theirs for every request.
//!
//! To make the comparison fair:
//!
//! - A request has four headers and a body of one kilobyte in a `Full<Bytes>`, and gets a token of
//!   256 bytes. A service consumes its request, so every row builds a new one in its loop, from the
//!   same cheap parts. All rows include the cost of that and of the inner service (see `bare`).
//! - The inner service is always ready and responds with `std::future::ready`, so nothing hides the
//!   layer. It is not inlined, as a real client would not be, so no row is compiled into it.
//! - Times are medians of many short rounds, and the rows take turns, so that other load or a
//!   change of the clock rate affects all of them. Instructions are the more precise measure:
//!   valgrind counts them, as the difference between a long and a short run, and they hardly vary.
//!   Unlike times, they do not include the cost of reading the clock.
//! - Allocations are counted exactly.
//! - Scaling is measured with one task per core, each with a clone of the service and its own
//!   request parts, so that only what the services share can slow them down. The result is the best
//!   of many short windows, because a busy machine seldom provides both cores. The bare service in
//!   the same rounds shows the achievable maximum.
//!
//! `BENCH_QUICK=1` makes a quick run that takes a few seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that fails has nothing else to do"
)]

mod allocations;
mod baselines;
mod instructions;
mod report;
mod request;
mod rows;
mod scaling;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;
mod time;

use tower_auth::BoxError;

use self::{allocations::Allocations, report::Measured, rows::Row, support::is_quick};

#[global_allocator]
static ALLOCATOR: Allocations = Allocations;

fn main() -> Result<(), BoxError> {
    let mut rows = Row::all();
    if let Some((row, requests)) = instructions::order() {
        rows[row].run(requests);
        return Ok(());
    }
    let quick = is_quick();
    let measured = Measured {
        nanos: time::per_request(&mut rows, quick),
        allocations: rows.iter_mut().map(allocations::per_request).collect(),
        instructions: instructions::per_request(rows.len()),
        scaling: scaling::measure(quick),
        rows,
    };
    measured.picture().draw("hot_path.svg")?;
    measured.report().finish()?;
    Ok(())
}
