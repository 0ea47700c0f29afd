//! What those see who watch: spans and events, counters and histograms.

// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../tokens/faulty.rs"]
mod faulty;
#[path = "../support/log.rs"]
mod log;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../requests/memory.rs"]
mod memory;
mod metrics;
mod spans;
mod watched;
