//! What was measured, for people and for programs.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The ratio, at most.
    AtMost(f64),
    /// The ratio, at least.
    AtLeast(f64),
    /// The value itself, at most.
    Value(f64),
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The median of the subject, in `unit`.
    pub value: f64,
    /// Of `value`: `ns` for one operation, or a count.
    pub unit: String,
    /// What it was measured against, in the same turns; empty if nothing.
    pub yardstick: String,
    /// The median of the yardstick, in the same unit.
    pub yardstick_value: Option<f64>,
    /// The median of the ratios of all turns: subject to yardstick.
    pub ratio: Option<f64>,
    /// The quartiles of these ratios: half of the turns lie between them.
    pub spread: Option<[f64; 2]>,
    /// What it is to be, if somebody said so.
    pub goal: Option<Goal>,
}

impl Figure {
    /// A count that needs no yardstick.
    pub fn count(name: &str, value: f64, unit: &str, goal: Option<Goal>) -> Figure {
        Figure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            yardstick: String::new(),
            yardstick_value: None,
            ratio: None,
            spread: None,
            goal,
        }
    }

    /// The same figure as how often the yardstick would have fitted: for
    /// rates, where more is better.
    #[must_use]
    pub fn inverted(self, unit: &str) -> Figure {
        let rate = |ns: f64| 1e9 / ns;
        Figure {
            value: rate(self.value),
            unit: unit.to_owned(),
            yardstick_value: self.yardstick_value.map(rate),
            ratio: self.ratio.map(f64::recip),
            spread: self.spread.map(|[low, high]| [high.recip(), low.recip()]),
            ..self
        }
    }

    /// Whether the goal is met; `None` without one.
    pub fn met(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::AtMost(most) => self.ratio? <= most,
            Goal::AtLeast(least) => self.ratio? >= least,
            Goal::Value(most) => self.value <= most,
        })
    }
}

/// The figures of one group, and what could not be measured here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// `engine`, `view`, `meters`.
    pub name: String,
    /// Whether the effort was brief: then the figures mean little.
    pub quick: bool,
    /// The machine.
    pub machine: String,
    /// In the order measured.
    pub figures: Vec<Figure>,
    /// Why others are missing.
    pub skipped: Vec<String>,
}

impl Group {
    /// An empty group on this machine.
    pub fn new(name: &str, quick: bool) -> Group {
        Group { name: name.to_owned(), quick, machine: machine(), ..Group::default() }
    }

    /// Takes a figure in, and shows that something happens.
    pub fn add(&mut self, figure: Figure) {
        eprintln!("   {} done", figure.name);
        self.figures.push(figure);
    }

    /// Notes what could not be measured here.
    pub fn skip(&mut self, why: impl std::fmt::Display) {
        eprintln!("SKIP: {why}");
        self.skipped.push(why.to_string());
    }

    /// The table, as Markdown: fit for a terminal and for a document.
    pub fn table(&self) -> String {
        const HEAD: [&str; 8] = [
            "what",
            "value",
            "unit",
            "yardstick",
            "its value",
            "ratio",
            "half of the turns",
            "goal",
        ];
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.figures.iter().map(row));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(text, "| {cell:width$} ");
            }
            text.push_str("|\n");
            if index == 0 {
                for width in widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text.push_str("|\n");
            }
        }
        for why in &self.skipped {
            let _ = writeln!(text, "skipped: {why}");
        }
        text
    }

    /// Writes `<name>.json` into a directory.
    ///
    /// # Errors
    ///
    /// As writing a file.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut json = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        json.push('\n');
        std::fs::write(dir.join(format!("{}.json", self.name)), json)
    }

    /// Reads it back; `None` if it was never measured.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read.
    pub fn load(dir: &Path, name: &str) -> io::Result<Option<Group>> {
        let path = dir.join(format!("{name}.json"));
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn row(figure: &Figure) -> [String; 8] {
    let short = |value: Option<f64>| value.map_or_else(String::new, number);
    let spread =
        figure.spread.map_or_else(String::new, |[a, b]| format!("{} to {}", number(a), number(b)));
    let met = figure.met().map_or("", |met| if met { "met" } else { "not met" });
    let goal = match figure.goal {
        None => String::new(),
        Some(Goal::AtMost(most) | Goal::Value(most)) => format!("<= {most}, {met}"),
        Some(Goal::AtLeast(least)) => format!(">= {least}, {met}"),
    };
    [
        figure.name.clone(),
        number(figure.value),
        figure.unit.clone(),
        figure.yardstick.clone(),
        short(figure.yardstick_value),
        short(figure.ratio),
        spread,
        goal,
    ]
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Processor, cores and kernel, as the system tells them.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests;
