//! Nanoseconds per request.

use std::time::Instant;

use crate::rows::Row;

const REQUESTS: u64 = 1000;

/// Returns the median time per request of each row.
pub(crate) fn per_request(rows: &mut [Row], quick: bool) -> Vec<f64> {
    let rounds = if quick { 101 } else { 2001 };
    let mut nanos = vec![Vec::with_capacity(rounds); rows.len()];
    for row in rows.iter_mut() {
        row.run(REQUESTS);
    }
    for _ in 0..rounds {
        for (row, nanos) in rows.iter_mut().zip(&mut nanos) {
            let start = now();
            row.run(REQUESTS);
            nanos.push(start.elapsed().as_nanos() as f64 / REQUESTS as f64);
        }
    }
    nanos.into_iter().map(median).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is time as it really passes"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
