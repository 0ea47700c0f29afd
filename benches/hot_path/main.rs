//! What the layer costs a request that finds a fresh credential: `cargo bench --bench hot_path`.
//!
//! Each row is one service, called in the same way over the same inner service:
//!
//! - `bare`: the inner service alone.
//! - `insert`: puts a ready-made header value on the request. No layer that attaches a credential
//!   does less; it is what `retry(false)` is compared with.
//! - `clone_insert`: also keeps a clone of the request until its response is there. No layer that
//!   could send a request again does less; it is what the layer as it comes is compared with.
//! - `auth`: the layer over a credential that is refreshed (one hour of lifetime); with
//!   `retry(false)`; and over a credential that never changes.
//!
//! All are long-lived services; the rows `.. cloned` clone theirs for every request.
//!
//! What makes the comparison fair:
//!
//! - A request has four headers, a body of one kilobyte in a `Full<Bytes>`, and gets a token of 256
//!   bytes. A service consumes it, so all rows build it in their loop, from the same cheap parts,
//!   and all rows include what that and the inner service cost: see `bare`.
//! - The inner service is ready at once and answers with `std::future::ready`, so nothing hides the
//!   layer. It is not inlined, as a real client would not be, so no row is compiled into it.
//! - Times are medians of many short rounds, and the rows take turns, so that a busy machine or a
//!   change of clock rate falls on all of them. Instructions are the sharper measure: they are
//!   counted by valgrind, as the difference of a long and a short run, and hardly vary. Valgrind
//!   does not see what reading the clock costs, which times do.
//! - Allocations are counted exactly.
//! - Scaling is that of one task per core, each with a clone of the service and parts of requests of
//!   its own, so that only what the services share can slow them down. It is taken from the best of
//!   many short windows, because a busy machine seldom gives both cores. The bare service in the
//!   same rounds shows what there is to reach.
//!
//! `BENCH_QUICK=1` takes a few seconds, for a first look.

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
