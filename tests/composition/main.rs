//! What the order of layers means. Each test is named as the row of the table in the crate's
//! documentation ("The order of layers") that it shows: P25, P26, P27, P34. An API in memory, and
//! paused time.

#[path = "../requests/memory.rs"]
#[allow(dead_code, reason = "shared with the tests of requests")]
mod memory;

mod decompression;
mod limits;
mod redirect;
mod replay;
mod retry;
mod timeout;
mod trace;
