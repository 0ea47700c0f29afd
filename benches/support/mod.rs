//! Shared by the benches: in-memory servers, layers written by hand, tables, charts.

pub(crate) mod by_hand;
pub(crate) mod picture;
pub(crate) mod report;
pub(crate) mod servers;

use std::env;

use bytes::Bytes;
use http_body_util::Full;

pub(crate) type Body = Full<Bytes>;

/// Returns whether to finish within seconds, for a quick run.
pub(crate) fn is_quick() -> bool {
    env::var_os("BENCH_QUICK").is_some()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
