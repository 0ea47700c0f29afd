//! Instructions per request, counted by running this program under valgrind.

use std::{
    env,
    process::{Child, Command, Stdio},
};

const FEW: u64 = 1000;
const MANY: u64 = 6000;
/// The command-line argument that precedes the row and the number of requests of a counted run.
const ORDER: &str = "--count";

/// Returns the row to run and its number of requests, if this is a counted run.
pub(crate) fn order() -> Option<(usize, u64)> {
    let mut arguments = env::args().skip_while(|argument| argument != ORDER).skip(1);
    let row = arguments.next()?.parse().ok()?;
    let requests = arguments.next()?.parse().ok()?;
    Some((row, requests))
}

/// Returns the instructions per request of each row, or why they cannot be counted.
pub(crate) fn per_request(rows: usize) -> Result<Vec<f64>, String> {
    (0..rows)
        .map(|row| {
            // Runs two at a time, because counts do not depend on the load of the machine.
            let (few, many) = (start(row, FEW)?, start(row, MANY)?);
            let (few, many) = (collected(few)?, collected(many)?);
            Ok((many - few) / (MANY - FEW) as f64)
        })
        .collect()
}

fn start(row: usize, requests: u64) -> Result<Child, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([ORDER, &row.to_string(), &requests.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("valgrind does not start: {error}"))
}

/// Reads callgrind's summary: `==123== Collected : 456`.
fn collected(run: Child) -> Result<f64, String> {
    let output = run.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .ok_or_else(|| format!("valgrind counts nothing: {text}"))
}
