//! Parsers of kernel texts and messages. Total functions: any input gives a
//! value or an error, never a panic. Public for the fuzz targets only.
//!
//! The texts are bytes, not strings: a process may call itself `\xff` and a
//! mount point may hold any byte but NUL, so a parser that wants UTF-8 would
//! let one hostile process blind the meter.

mod cgroup;
mod cpus;
mod diag;
mod ipc;
mod locks;
mod mounts;
mod process;

pub use cgroup::{Stat, limit, membership, pids, values, word_list};
pub use cpus::{ids, megahertz};
pub use diag::{InetSocket, UnixSocket, inet_socket, unix_socket};
pub use ipc::{Segment, shm_segments};
pub use locks::{Lock, LockKind, fdinfo_locks, locks};
pub use mounts::{Mount, mounts};
pub use process::{Link, Rollup, Status, link, rollup, status};

/// Where and why a text is not what its format says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What was expected.
    pub reason: &'static str,
}

impl Malformed {
    pub(crate) fn new(line: usize, reason: &'static str) -> Malformed {
        Malformed { line, reason }
    }
}

/// The lines of a text with their numbers, from 1; a final newline ends the
/// last line and starts none.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|&b| b == b'\n').enumerate().map(|(i, line)| (i + 1, line))
}

/// Words separated by blanks and tabs.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// A decimal number: digits only, in range.
fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
