//! Reading the resource tables, of any OpenVZ kernel or of something that
//! imitates one.
//!
//! [`strict`] accepts exactly what a 64-bit kernel prints and [`table`] writes;
//! it is for checking writers. [`tolerant`] also reads what is found in the
//! field: other widths, UUIDs for ids, pasted and cut off files; it is for
//! tools. Whatever the first accepts, the second reads the same.
//!
//! [`table`]: super::table

use ubc_core::{ContainerId, PerResource, Row, UNLIMITED};

mod error;
mod strict;
mod tolerant;

pub use error::ParseError;
pub use strict::strict;
pub use tolerant::tolerant;

/// The tables of all containers in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// One for each container, in the order of the file.
    pub blocks: Vec<Block>,
    /// The file ended in the middle of a line, and that line was left out:
    /// its last number may lack digits.
    pub truncated: bool,
}

impl Table {
    /// The first block of the container with this id.
    pub fn block(&self, id: ContainerId) -> Option<&Block> {
        self.blocks.iter().find(|block| block.id == Some(id))
    }
}

/// The table of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The first column as it stands there, without its colon: a number, a
    /// UUID, `parent.child`. `None` where the file names nobody
    /// (`/proc/bc/<id>/resources`).
    pub uid: Option<String>,
    /// The same as a container id, where it is one.
    pub id: Option<ContainerId>,
    /// The rows; `None` for those the file lacks. Minheld, which no file
    /// shows, is 0.
    pub rows: PerResource<Option<Row>>,
    /// The rows named `dummy`, at most 4.
    pub dummies: Vec<Row>,
    /// Rows of names that are no resource of ours, in the order of the file.
    pub others: Vec<(String, Row)>,
}

impl Block {
    fn named(uid: String) -> Block {
        Block { id: uid.parse().ok(), uid: Some(uid), ..Block::default() }
    }

    /// Whether no row was read.
    pub fn is_empty(&self) -> bool {
        self.dummies.is_empty()
            && self.others.is_empty()
            && self.rows.iter().all(|(_, row)| row.is_none())
    }
}

/// How much a parser keeps of an input it does not trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest line, in bytes without its newline.
    pub line: usize,
    /// The most containers. Each takes about 1300 bytes of memory.
    pub blocks: usize,
    /// The most rows, in all containers together, of names that are no
    /// resource of ours.
    pub others: usize,
}

impl Bounds {
    /// Enough for every real file: lines of 1024 bytes, 16384 containers,
    /// 4096 unknown rows.
    pub const DEFAULT: Bounds = Bounds { line: 1024, blocks: 16_384, others: 4096 };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether a barrier or limit in a file means "no limit": 2^63-1, or 2^31-1
/// as 32-bit kernels and tools wrote it. Parsers keep the number as it is.
///
/// 0 is a limit like any other here, although some tools show it as none.
pub const fn is_unlimited(value: u64) -> bool {
    value == UNLIMITED || value == i32::MAX as u64
}

/// The lines of a text with their numbers (from 1) and whether a newline
/// ended them. What follows the last newline is a line unless it is empty.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8], bool)> {
    text.split_inclusive(|&byte| byte == b'\n').enumerate().map(|(i, line)| {
        match line.strip_suffix(b"\n") {
            Some(line) => (i + 1, line, true),
            None => (i + 1, line, false),
        }
    })
}

/// A row from its five numbers.
fn row([held, maxheld, barrier, limit, failcnt]: [u64; 5]) -> Row {
    Row { held, maxheld, minheld: 0, barrier, limit, failcnt }
}

/// A number of decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests;
