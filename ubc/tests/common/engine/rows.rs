//! A table with a row for each engine, and who fills it in, two rows at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Emulated machines have two processors.
const WORKERS: usize = 2;

/// What was seen of one engine, told when it is dropped, however that comes.
pub(crate) struct Row {
    columns: &'static [&'static str],
    name: &'static str,
    /// Of each column that was looked at, what was seen.
    cells: Vec<&'static str>,
    failed: bool,
}

impl Row {
    pub(crate) fn of(name: &'static str, columns: &'static [&'static str]) -> Row {
        Row { columns, name, cells: Vec::new(), failed: false }
    }

    /// The next column is as it should be.
    pub(crate) fn yes(&mut self) {
        self.cells.push("yes");
    }

    /// The next column cannot be looked at.
    pub(crate) fn skipped(&mut self) {
        self.cells.push("skipped");
    }

    /// The engine's name, if the next column was not as it should be.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        self.failed.then_some(self.name)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let failed = self.failed || std::thread::panicking();
        for (at, column) in self.columns.iter().enumerate() {
            let told = match self.cells.get(at) {
                Some(told) => told,
                None if failed && at == self.cells.len() => "FAILED",
                None if failed => "not reached",
                None => "skipped",
            };
            println!("CELL: engines | {} | {column} | {told}", self.name);
        }
    }
}

/// Does this with each and its row; what came of those that did not fail, with their rows.
pub(crate) fn with_each<T: Send, R: Send>(
    all: Vec<(&mut Row, T)>,
    work: impl Fn(&mut Row, T) -> R + Sync,
) -> Vec<(&mut Row, R)> {
    let left = Mutex::new(all.into_iter().enumerate());
    let done = Mutex::new(BTreeMap::new());
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((at, (row, one))) = next() {
                    // The other engines go on.
                    match catch_unwind(AssertUnwindSafe(|| work(row, one))) {
                        Ok(came) => drop(done.lock().unwrap().insert(at, (row, came))),
                        Err(_) => row.failed = true,
                    }
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}
