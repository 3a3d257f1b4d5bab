//! Uses up one resource after another, as a container's program would, and
//! tells what the kernel answered and what the container can read about it:
//! `refused numfile numpty`; without arguments, every row that has a limit.
//!
//! Ends with 1 if a row that has a limit did not refuse or did not count.

#[path = "refused/attempts.rs"]
mod attempts;

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;

use attempts::{Held, TRIES, Take, attempts};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut right = true;
    for (resource, take) in attempts() {
        let limit = row(resource).map_or(u64::MAX, |row| row[3].min(row[2]));
        let asked = wanted.is_empty() && limit < i64::MAX as u64;
        if !asked && !wanted.iter().any(|name| name == resource) {
            continue;
        }
        match tried(resource, take) {
            Ok(line) => println!("{line}"),
            Err(line) => {
                println!("{line}");
                right = false;
            }
        }
    }
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Uses a resource up; a line about it.
fn tried(resource: &str, take: io::Result<Take>) -> Result<String, String> {
    let wrong = |error: io::Error| format!("{resource:<13} {error}");
    let mut take = take.map_err(wrong)?;
    let before = row(resource).ok_or_else(|| format!("{resource:<13} is in no row"))?;
    let mut held: Vec<Box<dyn Held>> = Vec::with_capacity(TRIES);
    let refusal = loop {
        match take(held.len()) {
            Ok(_) if held.len() == TRIES => break None,
            Ok(thing) => held.push(thing),
            Err(error) => break Some(error),
        }
        // Whoever loses a datagram is not told; the row tells.
        if held.len().is_multiple_of(16) && row(resource).is_some_and(|row| row[4] > before[4]) {
            break None;
        }
    };
    let taken = held.len();
    drop(held);
    let after = row(resource).ok_or_else(|| format!("{resource:<13} is in no row"))?;
    let answer =
        refusal.map_or_else(|| "dropped without an error".to_owned(), |error| error.to_string());
    let failures = after[4] - before[4];
    let line = format!(
        "{resource:<13} {taken:>6} more, then: {answer}; maxheld {} of {}, failcnt {} -> {}",
        after[1], after[3], before[4], after[4]
    );
    if failures > 0 { Ok(line) } else { Err(format!("{line}: NOT REFUSED")) }
}

/// The held, maxheld, barrier, limit and failcnt of a row, as the container
/// reads them.
fn row(resource: &str) -> Option<[u64; 5]> {
    let file = std::fs::read_to_string("/proc/user_beancounters").ok()?;
    let rows: HashMap<&str, [u64; 5]> = file
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.len().checked_sub(6)?;
            let numbers: Vec<u64> = words[at + 1..].iter().flat_map(|word| word.parse()).collect();
            Some((words[at], numbers.try_into().ok()?))
        })
        .collect();
    rows.get(resource).copied()
}
