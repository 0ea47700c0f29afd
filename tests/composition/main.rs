//! What the order of layers means. Each test is named as the row of the table in the crate's
//! documentation ("The order of layers") that it shows. An API in memory, and paused time.

#[path = "../requests/memory.rs"]
#[allow(dead_code, reason = "shared with the tests of requests")]
mod memory;

mod decompression;
mod limits;
#[path = "../support/log.rs"]
mod log;
mod redirect;
mod replay;
mod retry;
mod timeout;
mod trace;

/// The table and the tests say the same: none is missing on either side.
#[test]
fn every_line_of_the_table_is_a_test_and_every_test_is_in_the_table() {
    let table = include_str!("../../src/order.md").lines();
    let mut named: Vec<_> = table
        .filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'))
        .collect();
    let mut tests: Vec<_> = [
        include_str!("decompression.rs"),
        include_str!("limits.rs"),
        include_str!("redirect.rs"),
        include_str!("replay.rs"),
        include_str!("retry.rs"),
        include_str!("timeout.rs"),
        include_str!("trace.rs"),
    ]
    .iter()
    .flat_map(|file| {
        file.split("#[tokio::test(start_paused = true)]\nasync fn ")
            .skip(1)
    })
    .filter_map(|test| Some(test.split_once('(')?.0))
    .collect();
    named.sort_unstable();
    tests.sort_unstable();
    assert_eq!(named, tests);
}
