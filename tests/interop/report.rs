//! The results of the flows, and the table at the end.

use std::{process::ExitCode, time::Duration};

#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

pub(crate) struct Line {
    server: &'static str,
    flow: String,
    outcome: Outcome,
}

pub(crate) enum Outcome {
    Passed(Duration),
    Failed(String),
    /// The missing program.
    NotRun(String),
}

impl Line {
    /// Adds a result, and prints it to show progress.
    pub(crate) fn new(server: &'static str, flow: String, outcome: Outcome) -> Self {
        match &outcome {
            Outcome::Passed(took) => {
                println!("{server}: {flow} ... passed in {:.1} s", took.as_secs_f32());
            }
            Outcome::Failed(why) => println!("{server}: {flow} ... FAILED\n{why}\n"),
            Outcome::NotRun(_) => {}
        }
        Self {
            server,
            flow,
            outcome,
        }
    }
}

impl Report {
    pub(crate) fn add(&mut self, lines: Vec<Line>) {
        self.lines.extend(lines);
    }

    /// Prints the table, and returns the exit code.
    pub(crate) fn close(mut self, required: bool) -> ExitCode {
        self.lines.sort_by_key(|line| line.server);
        let width = self.lines.iter().map(|line| line.flow.len()).max();
        let width = width.unwrap_or_default().max(4);
        println!("\n{:<14} {:<width$} outcome", "server", "flow");
        let (mut passed, mut failed, mut not_run) = (0, 0, 0);
        for line in &self.lines {
            let outcome = match &line.outcome {
                Outcome::Passed(_) => {
                    passed += 1;
                    "passed"
                }
                Outcome::Failed(_) => {
                    failed += 1;
                    "FAILED"
                }
                Outcome::NotRun(_) => {
                    not_run += 1;
                    "not run"
                }
            };
            println!("{:<14} {:<width$} {outcome}", line.server, line.flow);
        }
        println!("\n{passed} passed, {failed} failed, {not_run} not run");
        self.print_missing();
        if self.lines.is_empty() {
            println!("no flow matches that name");
        }
        if failed > 0 || self.lines.is_empty() || (required && not_run > 0) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    fn print_missing(&self) {
        let mut missing: Vec<(&str, &str)> = Vec::new();
        for line in &self.lines {
            if let Outcome::NotRun(what) = &line.outcome {
                missing.push((line.server, what));
            }
        }
        missing.dedup();
        for (server, what) in &missing {
            println!("some flows of {server} were skipped: {what} is not installed");
        }
        if !missing.is_empty() {
            println!("to install it, run tests/interop/run");
        }
    }
}
