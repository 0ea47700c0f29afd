//! Counting instructions with valgrind.

use std::{env, process::Command};

const VARIANT: &str = "HOT_PATH_VARIANT";
const REQUESTS: &str = "HOT_PATH_REQUESTS";

/// What this process is to run, if it was started to be counted.
pub(crate) fn child() -> Option<(String, usize)> {
    let requests = env::var(REQUESTS).ok()?.parse().ok()?;
    Some((env::var(VARIANT).ok()?, requests))
}

/// Instructions per request: two runs of different lengths, so that start and end fall out.
pub(crate) fn per_request(variant: &str, requests: usize) -> Result<f64, String> {
    let few = total(variant, 100)?;
    let many = total(variant, 100 + requests)?;
    Ok((many - few) / requests as f64)
}

fn total(variant: &str, requests: usize) -> Result<f64, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .env(VARIANT, variant)
        .env(REQUESTS, requests.to_string())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.split("Collected :").nth(1);
    let number = collected.and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| "valgrind told no number".to_owned())
}
