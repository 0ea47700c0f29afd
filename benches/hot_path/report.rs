//! The report.

use crate::{
    rows::Row,
    scaling::Scaling,
    support::{
        picture::Bars,
        report::{Cell, Limit, Report, Table, number, text},
    },
};

/// The bound on the layer's instructions, as a multiple of its baseline.
const AIMS: [(&str, f64); 2] = [("auth no_retry", 1.20), ("auth", 1.15)];
/// The target for the layer's scaling, as a fraction of the bare service's.
const SCALING_AIM: f64 = 0.95;

pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    pub(crate) nanos: Vec<f64>,
    pub(crate) allocations: Vec<f64>,
    /// The instructions, or why they were not counted.
    pub(crate) instructions: Result<Vec<f64>, String>,
    /// The scaling of each service, the bare one first.
    pub(crate) scaling: Vec<Scaling>,
}

impl Measured {
    pub(crate) fn report(&self) -> Report {
        let mut report = Report::new("hot_path");
        report.table(self.requests());
        report.table(self.cores());
        self.aims(&mut report);
        report
    }

    pub(crate) fn picture(&self) -> Bars {
        let names = self.rows.iter().map(|row| row.name.to_owned());
        Bars {
            title: "ns per request".into(),
            bars: names.zip(self.nanos.iter().copied()).collect(),
        }
    }

    fn requests(&self) -> Table {
        let columns = [
            "per request",
            "ns",
            "ratio",
            "instructions",
            "ratio of these",
            "allocations",
            "bytes of future",
            "ratios to",
        ];
        let title = match &self.instructions {
            Ok(_) => "one request after the other".to_owned(),
            Err(why) => format!("one request after the other; no instructions: {why}"),
        };
        let mut table = Table::new(title, &columns);
        for (index, row) in self.rows.iter().enumerate() {
            let instructions = self.instructions.as_ref().ok().map(|all| all[index]);
            table.row([
                text(row.name),
                number(self.nanos[index], 0),
                or_dash(self.ratio(&self.nanos, index), 2),
                or_dash(instructions, 0),
                or_dash(self.instruction_ratio(index), 2),
                number(self.allocations[index], 2),
                number(row.future_bytes as f64, 0),
                text(row.baseline.unwrap_or("-")),
            ]);
        }
        table
    }

    fn cores(&self) -> Table {
        let columns = ["service", "1 core", "2 cores", "2 / 1", "of bare's"];
        let mut table = Table::new("million requests/s", &columns);
        for service in &self.scaling {
            table.row([
                text(service.name),
                number(service.one / 1e6, 2),
                number(service.two / 1e6, 2),
                number(service.quotient(), 2),
                number(service.quotient() / self.scaling[0].quotient(), 2),
            ]);
        }
        table
    }

    fn aims(&self, report: &mut Report) {
        for (name, aim) in AIMS {
            let Some(index) = self.index(name) else {
                continue;
            };
            let baseline = self.rows[index].baseline.unwrap_or("-");
            report.aim(
                format!("hot_path: {name}, / instructions of {baseline}"),
                self.instruction_ratio(index),
                Limit::AtMost(aim),
            );
            let more = self
                .index(baseline)
                .map(|baseline| self.allocations[index] - self.allocations[baseline]);
            report.fact(
                format!("hot_path: {name}, allocations beyond those of {baseline}"),
                more,
                Limit::AtMost(0.0),
            );
        }
        for service in self.scaling.iter().filter(|service| service.name == "auth") {
            report.aim(
                "hot_path: auth, 2 cores / 1 core, / that of the bare service",
                Some(service.quotient() / self.scaling[0].quotient()),
                Limit::AtLeast(SCALING_AIM),
            );
        }
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

fn or_dash(value: Option<f64>, digits: usize) -> Cell {
    value.map_or(text("-"), |value| number(value, digits))
}
