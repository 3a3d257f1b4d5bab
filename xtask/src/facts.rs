//! What tests say they stand for, gathered over all machines and shown as
//! tables at the end: results, never claims kept by hand.
//!
//! A test binary prints, on a line of its own,
//!
//! ```text
//! FACT: TABLE | ROW            the outcome of the test that printed it
//! FACT: TABLE | ROW | VALUE    this value
//! CELL: TABLE | ROW | COLUMN | VALUE
//! ```
//!
//! The machine it ran on is a fact's column; of cells each machine has a table of its own.

use std::collections::BTreeMap;

/// What starts such a line.
const MARK: &str = "FACT:";

/// The same of a line that names the column itself.
const CELL: &str = "CELL:";

/// One cell's content, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) table: String,
    pub(crate) row: String,
    /// The machine, or what the test says.
    pub(crate) column: String,
    pub(crate) value: Value,
}

/// What is said in a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Failed,
    Passed,
    Skipped,
    Text(String),
}

/// Reads what libtest prints with `--show-output`: each test's output in a
/// block of its own, those of passed tests after `successes:` and those of
/// failed ones after `failures:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    failed: bool,
    skipped: bool,
    /// Of the block that is being read: table and row.
    pending: Vec<(String, String)>,
    facts: Vec<Fact>,
}

impl Reader {
    /// Takes in one line.
    pub(crate) fn line(&mut self, line: &str) {
        let is_block = line.starts_with("---- ") && line.ends_with(" stdout ----");
        if is_block || line.starts_with("test result: ") {
            self.close();
        } else if line == "successes:" || line == "failures:" {
            self.close();
            self.failed = line == "failures:";
        } else if line.trim_start().starts_with("SKIP:") {
            self.skipped = true;
        }
        if let Some(cell) = line.trim_start().strip_prefix(CELL) {
            self.cell(cell);
        }
        let Some(fact) = line.trim_start().strip_prefix(MARK) else { return };
        let mut parts = fact.splitn(3, '|').map(|part| part.trim().to_owned());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(table), Some(row), None) => self.pending.push((table, row)),
            (Some(table), Some(row), Some(text)) => self.add(table, row, Value::Text(text)),
            _ => {}
        }
    }

    fn cell(&mut self, text: &str) {
        let mut parts = text.splitn(4, '|').map(|part| part.trim().to_owned());
        if let (Some(table), Some(row), Some(column), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            self.facts.push(Fact { table, row, column, value: Value::Text(text) });
        }
    }

    fn close(&mut self) {
        let outcome = match (self.failed, self.skipped) {
            (true, _) => Value::Failed,
            (false, true) => Value::Skipped,
            (false, false) => Value::Passed,
        };
        self.skipped = false;
        for (table, row) in std::mem::take(&mut self.pending) {
            self.add(table, row, outcome.clone());
        }
    }

    fn add(&mut self, table: String, row: String, value: Value) {
        self.facts.push(Fact { table, row, column: String::new(), value });
    }

    /// All that was read, as of this machine.
    pub(crate) fn facts(mut self, column: &str) -> Vec<Fact> {
        self.close();
        for fact in &mut self.facts {
            if fact.column.is_empty() {
                column.clone_into(&mut fact.column);
            } else {
                fact.table = format!("{}, {column}", fact.table);
            }
        }
        self.facts
    }
}

/// The tables as text, in the order in which their parts were first told.
pub(crate) fn tables(facts: &[Fact]) -> String {
    let mut text = String::new();
    for table in distinct(facts.iter().map(|fact| &fact.table)) {
        let facts: Vec<&Fact> = facts.iter().filter(|fact| &fact.table == table).collect();
        let columns = distinct(facts.iter().map(|fact| &fact.column));
        let mut lines = vec![vec![table.clone()]];
        lines[0].extend(columns.iter().map(|column| (*column).clone()));
        for row in distinct(facts.iter().map(|fact| &fact.row)) {
            let cell = |column: &&String| {
                let here = |fact: &&&Fact| &fact.row == row && fact.column == **column;
                cell(facts.iter().filter(here).map(|fact| &fact.value))
            };
            lines.push(std::iter::once(row.clone()).chain(columns.iter().map(cell)).collect());
        }
        let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max();
        let widths: Vec<usize> = (0..=columns.len()).map(|at| width(at).unwrap_or(0)).collect();
        text.push('\n');
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
    }
    text
}

fn distinct<'a>(all: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

/// `passed`, `1 failed, 2 passed`, `-` when nothing was told.
fn cell<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut counts: BTreeMap<&Value, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let alone = counts.len() == 1;
    let words = counts.into_iter().map(|(value, count)| match (value, count) {
        (Value::Text(text), _) => text.clone(),
        (outcome, 1) if alone => word(outcome).to_owned(),
        (outcome, count) => format!("{count} {}", word(outcome)),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

fn word(outcome: &Value) -> &str {
    match outcome {
        Value::Failed => "failed",
        Value::Passed => "passed",
        Value::Skipped => "skipped",
        Value::Text(text) => text,
    }
}

#[cfg(test)]
mod tests;
