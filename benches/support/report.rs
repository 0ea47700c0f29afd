//! A bench's results: printed as tables, written as JSON.

use std::{
    fmt, fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::is_quick;

/// The folder for results, relative to where `cargo bench` runs.
pub(crate) const FOLDER: &str = "target/bench-results";

pub(crate) struct Report {
    bench: &'static str,
    tables: Vec<Table>,
    aims: Vec<Aim>,
}

pub(crate) struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

pub(crate) enum Cell {
    Text(String),
    /// A number, and how many digits to show after the decimal point.
    Number(f64, usize),
}

struct Aim {
    what: String,
    found: Option<f64>,
    aim: Limit,
    must: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Self {
        Self {
            bench,
            tables: Vec::new(),
            aims: Vec::new(),
        }
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds a target and its measurement; `None` if it could not be measured.
    pub(crate) fn aim(&mut self, what: impl Into<String>, found: Option<f64>, aim: Limit) {
        self.aims.push(Aim {
            what: what.into(),
            found,
            aim,
            must: false,
        });
    }

    /// Adds a fact that does not depend on the speed or load of the machine. If it is false, the
    /// bench fails.
    pub(crate) fn fact(&mut self, what: impl Into<String>, found: Option<f64>, aim: Limit) {
        self.aim(what, found, aim);
        if let Some(aim) = self.aims.last_mut() {
            aim.must = true;
        }
    }

    /// Prints all results, and writes them to where the summary reads them.
    ///
    /// # Errors
    /// A fact is false, or the results cannot be written.
    pub(crate) fn finish(self) -> io::Result<()> {
        print!("{self}");
        let path = file(&format!("{}.json", self.bench))?;
        fs::write(&path, format!("{:#}\n", self.json()))?;
        println!("written to {}\n", path.display());
        let broken = |aim: &&Aim| aim.must && aim.is_met() != Some(true);
        match self.aims.iter().find(broken) {
            Some(aim) => Err(io::Error::other(aim.to_string())),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        json!({
            "bench": self.bench,
            "quick": is_quick(),
            "machine": machine(),
            "unix_time": now.map_or(0, |now| now.as_secs()),
            "tables": self.tables.iter().map(Table::json).collect::<Vec<_>>(),
            "aims": self.aims.iter().map(Aim::json).collect::<Vec<_>>(),
        })
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn json(&self) -> Value {
        let row = |cells: &Vec<Cell>| -> Value {
            let named = self.columns.iter().zip(cells);
            named
                .map(|(name, cell)| (name.to_string(), cell.json()))
                .collect()
        };
        json!({ "title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

impl Cell {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
        }
    }
}

impl Aim {
    fn json(&self) -> Value {
        let (relation, limit) = match self.aim {
            Limit::AtMost(limit) => ("at most", limit),
            Limit::AtLeast(limit) => ("at least", limit),
        };
        json!({
            "what": self.what,
            "found": self.found,
            "relation": relation,
            "limit": limit,
            "met": self.is_met(),
        })
    }

    fn is_met(&self) -> Option<bool> {
        self.found.map(|found| match self.aim {
            Limit::AtMost(limit) => found <= limit,
            Limit::AtLeast(limit) => found >= limit,
        })
    }
}

/// Returns the path of a result, and creates its folder.
pub(crate) fn file(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(FOLDER)?;
    Ok(PathBuf::from(FOLDER).join(name))
}

/// Returns the processor's name and its number of cores.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    format!(
        "{cores} cores, {}",
        processor.as_deref().unwrap_or("unknown")
    )
}

pub(crate) fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

pub(crate) fn count(count: u64) -> Cell {
    Cell::Number(count as f64, 0)
}

pub(crate) fn number(number: f64, digits: usize) -> Cell {
    Cell::Number(number, digits)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "{table}")?;
        }
        for aim in &self.aims {
            writeln!(f, "{aim}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let columns = self.columns.iter().enumerate();
        let widths: Vec<_> = columns
            .map(|(index, name)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                let widest = cells.map(|cell| cell.to_string().chars().count()).max();
                widest.unwrap_or(0).max(name.chars().count())
            })
            .collect();
        for (name, width) in self.columns.iter().zip(&widths) {
            write!(f, "{name:>width$}  ")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "{:>width$}  ", cell.to_string())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number, digits) => write!(f, "{number:.digits$}"),
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relation, limit) = match self.aim {
            Limit::AtMost(limit) => ("at most", limit),
            Limit::AtLeast(limit) => ("at least", limit),
        };
        match self.found {
            Some(found) => write!(f, "{}: {found:.2}", self.what)?,
            None => write!(f, "{}: n/a", self.what)?,
        }
        write!(f, " (aim: {relation} {limit})")?;
        match self.is_met() {
            Some(false) => f.write_str("  MISSED"),
            _ => Ok(()),
        }
    }
}
