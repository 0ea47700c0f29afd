//! What is printed.

use std::fmt;

use crate::{rows::Row, scaling::Scaling};

/// How many instructions the layer may take, as a multiple of the row it is compared with.
const AIMS: [(&str, f64); 2] = [("auth no_retry", 1.30), ("auth", 1.20)];
/// How much of the bare service's scaling it is to reach.
const SCALING_AIM: f64 = 0.95;

pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    pub(crate) nanos: Vec<f64>,
    pub(crate) allocations: Vec<f64>,
    /// Or why they were not counted.
    pub(crate) instructions: Result<Vec<f64>, String>,
    /// The bare service first.
    pub(crate) scaling: Vec<Scaling>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.requests(f)?;
        writeln!(f)?;
        self.cores(f)?;
        writeln!(f)?;
        self.aims(f)
    }
}

impl Measured {
    fn requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<21}{:>6}{:>7}{:>9}{:>7}{:>8}{:>8}   ratios to",
            "per request", "ns", "ratio", "instr.", "ratio", "allocs", "future",
        )?;
        for (index, row) in self.rows.iter().enumerate() {
            writeln!(
                f,
                "{:<21}{:>6.0}{:>7}{:>9}{:>7}{:>8}{:>6} B   {}",
                row.name,
                self.nanos[index],
                or_dash(self.ratio(&self.nanos, index), 2),
                or_dash(self.instructions.as_ref().ok().map(|all| all[index]), 0),
                or_dash(self.instruction_ratio(index), 2),
                self.allocations[index],
                row.future_bytes,
                row.baseline.unwrap_or("-"),
            )?;
        }
        if let Err(why) = &self.instructions {
            writeln!(f, "instructions: n/a, {why}")?;
        }
        Ok(())
    }

    fn cores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<21}{:>9}{:>9}{:>7}{:>11}",
            "million requests/s", "1 core", "2 cores", "2 / 1", "of bare's"
        )?;
        for service in &self.scaling {
            writeln!(
                f,
                "{:<21}{:>9.2}{:>9.2}{:>7.2}{:>11.2}",
                service.name,
                service.one / 1e6,
                service.two / 1e6,
                service.quotient(),
                service.quotient() / self.scaling[0].quotient(),
            )?;
        }
        Ok(())
    }

    fn aims(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, aim) in AIMS {
            let Some(index) = self.index(name) else {
                continue;
            };
            let ratio = self.instruction_ratio(index);
            let baseline = self.rows[index].baseline.unwrap_or("-");
            writeln!(
                f,
                "{name}: {} x the instructions of {baseline} (aim: at most {aim:.2}){}",
                or_dash(ratio, 2),
                missed(ratio.is_some_and(|ratio| ratio > aim)),
            )?;
            let more = self
                .index(baseline)
                .map(|baseline| self.allocations[index] - self.allocations[baseline]);
            writeln!(
                f,
                "{name}: {} allocations beyond those of {baseline} (aim: none){}",
                or_dash(more, 2),
                missed(more.is_some_and(|more| more > 0.0)),
            )?;
        }
        for service in self.scaling.iter().filter(|service| service.name == "auth") {
            let share = service.quotient() / self.scaling[0].quotient();
            writeln!(
                f,
                "auth: {share:.2} x the scaling of the bare service (aim: at least {SCALING_AIM:.2}){}",
                missed(share < SCALING_AIM),
            )?;
        }
        Ok(())
    }

    fn instruction_ratio(&self, row: usize) -> Option<f64> {
        self.ratio(self.instructions.as_ref().ok()?, row)
    }

    fn ratio(&self, values: &[f64], row: usize) -> Option<f64> {
        let baseline = self.index(self.rows[row].baseline?)?;
        Some(values[row] / values[baseline])
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.name == name)
    }
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}

fn missed(missed: bool) -> &'static str {
    if missed { "  MISSED" } else { "" }
}
