//! The targets and results of all benches in one table, which `benches/run` prints last.
//!
//! Reads the results that the benches wrote, and shows how old each one is.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    fs, io,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use self::support::report::{Cell, FOLDER, Table, number, text};

fn main() -> io::Result<()> {
    let mut table = Table::new(
        "all benches",
        &["what", "found", "aim", "limit", "", "minutes ago", "run"],
    );
    let mut files = match fs::read_dir(FOLDER) {
        Ok(files) => files.collect::<Result<Vec<_>, _>>()?,
        Err(error) => {
            println!("no bench has been run yet: {FOLDER}: {error}");
            return Ok(());
        }
    };
    files.sort_by_key(fs::DirEntry::path);
    for file in files {
        if file
            .path()
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let result: Value = serde_json::from_slice(&fs::read(file.path())?)?;
            for aim in result["aims"].as_array().into_iter().flatten() {
                table.row(row(aim, &result));
            }
        }
    }
    println!("{table}");
    Ok(())
}

fn row(aim: &Value, result: &Value) -> [Cell; 7] {
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let met = match aim["met"].as_bool() {
        Some(true) => "",
        Some(false) => "MISSED",
        None => "n/a",
    };
    let quick = result["quick"].as_bool() == Some(true);
    let found = aim["found"].as_f64();
    [
        text(string(&aim["what"])),
        found.map_or(text("-"), |found| number(found, 2)),
        text(string(&aim["relation"])),
        text(aim["limit"].to_string()),
        text(met),
        number(minutes_since(&result["unix_time"]), 0),
        text(if quick { "short" } else { "full" }),
    ]
}

fn minutes_since(unix_time: &Value) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    now.saturating_sub(unix_time.as_u64().unwrap_or(now)) as f64 / 60.0
}
