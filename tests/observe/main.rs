//! Spans and events, counters and histograms.

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../tokens/faulty.rs"]
mod faulty;
#[path = "../support/log.rs"]
mod log;
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../requests/memory.rs"]
mod memory;
mod metrics;
mod spans;
mod watched;
