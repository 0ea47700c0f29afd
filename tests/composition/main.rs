//! Tests of the effects of layer order, with an in-memory API and paused time. The table in the
//! crate's documentation ("Layer order") cites each test by its name, so the name starts with the
//! layer and its position.

#[path = "../requests/memory.rs"]
#[allow(dead_code, reason = "shared with the request tests")]
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

/// P27: each row cites a test, and the table cites every test.
#[test]
fn the_table_and_the_tests_match() {
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
