//! Runs `cargo test` and counts what it did, skips included.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::facts::{Fact, Reader};
use crate::run::{Result, in_short, shown};

/// What the tests of one or more runs came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Why each skipped test could not run here.
    pub(crate) skipped: Vec<String>,
    /// Machines that were lost, and in what; it was run again in a new one.
    pub(crate) lost: Vec<String>,
    /// What they told for the tables at the end.
    pub(crate) facts: Vec<Fact>,
}

impl Count {
    /// Takes in one line of what libtest prints.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(why) = line.trim_start().strip_prefix("SKIP:") {
            self.skipped.push(why.trim().to_owned());
        }
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            if let (Some(Ok(count)), Some(what)) =
                (words.next().map(str::parse::<u64>), words.next())
            {
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    _ => {}
                }
            }
        }
    }

    /// The same with a word before each reason.
    pub(crate) fn prefixed(mut self, word: &str) -> Count {
        for why in &mut self.skipped {
            *why = format!("{word}: {why}");
        }
        self
    }

    pub(crate) fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
        self.lost.extend(other.lost);
        self.facts.extend(other.facts);
    }
}

/// Runs a `cargo test` command line and adds what it came to, failed or not.
/// Shows a line for each test binary as it ends, and everything a failed one
/// said.
pub(crate) fn test(command: &mut Command, total: &mut Count) -> Result<()> {
    let name = shown(command);
    // libtest shows what passing tests print only when asked to; a test that
    // skips itself passes.
    command.args(["--", "--show-output"]).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
    let mut count = Count::default();
    let mut reader = Reader::default();
    let mut said = Vec::new();
    let mut failed = Vec::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|error| format!("{name}: {error}"))?;
            count.line(&line);
            reader.line(&line);
            let result = line.starts_with("test result: ");
            if line.starts_with("test result: FAILED") {
                for line in &said {
                    println!("{line}");
                }
                failed.push(in_short(&said.join("\n")));
            }
            said.push(line);
            if result {
                println!("   {}", said.last().map_or("", String::as_str));
                said.clear();
            }
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    count.facts = reader.facts(&format!("here {}", kernel()));
    total.add(count);
    if status.success() {
        return Ok(());
    }
    for line in said {
        println!("{line}");
    }
    failed.insert(0, format!("{name}: {status}"));
    Err(failed.join("\n"))
}

/// The kernel that runs us, as tables name it.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    short(&release)
}

/// `6.12` of `6.12.57+deb13-cloud-amd64`.
pub(crate) fn short(release: &str) -> String {
    release.trim().splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_skip_is_counted_though_libtest_calls_it_passed() {
        let mut count = Count::default();
        for line in [
            "running 2 tests",
            "test a ... ok",
            "SKIP: needs root",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            count.line(line);
        }
        let skipped = vec!["needs root".to_owned()];
        assert_eq!(count, Count { passed: 3, failed: 3, skipped, ..Count::default() });
    }
}
