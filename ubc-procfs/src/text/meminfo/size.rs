//! What counts as the memory of a container, as vzctl's `--meminfo` has it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ubc_core::{PerResource, Resource, Row, UNLIMITED};

use super::is_limited;
use crate::text::excerpt;

/// The memory of a container whose physpages have no limit.
///
/// (vzctl `src/lib/meminfo.c`; its third form, `none`, means that the file is
/// not the container's own at all.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemorySize {
    /// So many pages: `pages:N`, 1 to 2^63-1.
    Pages(u64),
    /// So many times the barrier of privvmpages: `privvmpages:N`, 1 to
    /// 2^63-1.
    Privvmpages(u64),
}

impl MemorySize {
    /// What vzctl takes when it is told nothing.
    pub const DEFAULT: MemorySize = MemorySize::Privvmpages(1);

    /// `none`, or the text of a size.
    ///
    /// # Errors
    ///
    /// Neither.
    pub fn parse(text: &str) -> Result<Option<MemorySize>, InvalidMemorySize> {
        if text == "none" { Ok(None) } else { text.parse().map(Some) }
    }

    /// In pages; `None` when there is no limit to go by.
    pub(super) fn pages(self, rows: &PerResource<Row>) -> Option<u64> {
        match self {
            MemorySize::Pages(pages) => Some(pages),
            MemorySize::Privvmpages(times) => {
                let barrier = rows[Resource::PrivvmPages].barrier;
                is_limited(barrier).then(|| barrier.saturating_mul(times))
            }
        }
    }
}

impl FromStr for MemorySize {
    type Err = InvalidMemorySize;

    fn from_str(text: &str) -> Result<Self, InvalidMemorySize> {
        let invalid = || InvalidMemorySize(excerpt(text.as_bytes()));
        let (mode, number) = text.split_once(':').ok_or_else(invalid)?;
        // parse() would take a sign.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| digits);
        let number = number.filter(|n| (1..=UNLIMITED).contains(n)).ok_or_else(invalid)?;
        match mode {
            "pages" => Ok(MemorySize::Pages(number)),
            "privvmpages" => Ok(MemorySize::Privvmpages(number)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemorySize::Pages(pages) => write!(f, "pages:{pages}"),
            MemorySize::Privvmpages(times) => write!(f, "privvmpages:{times}"),
        }
    }
}

/// A text that says nothing about memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no size of memory; accepted: none, pages:N, privvmpages:N, N from 1")]
pub struct InvalidMemorySize(String);
