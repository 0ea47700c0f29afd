//! A long run with faults, to detect growth.
//!
//! First runs ten hours of paused time with an in-memory provider and API, then real load over
//! loopback for `SOAK_SECONDS` (60 by default). Each part is measured after a fifth of its time and
//! at its end, when everything is idle. Prints the growth of the heap, of tasks and of open files,
//! and fails if it exceeds a bound.
//!
//! ```sh
//! SOAK_SECONDS=600 cargo bench --bench soak
//! ```

mod growth;
mod load;
#[allow(dead_code, reason = "it is another bench's")]
#[path = "../replay/memory.rs"]
mod memory;
mod paused;
#[allow(dead_code, reason = "the tests over loopback use more of it")]
#[path = "../../tests/real_http/servers.rs"]
mod servers;

use std::{env, time::Duration};

fn main() {
    let seconds = env::var("SOAK_SECONDS").map_or(60, |text| text.parse().unwrap());
    paused::soak(Duration::from_secs(36_000));
    load::soak(Duration::from_secs(seconds));
}
