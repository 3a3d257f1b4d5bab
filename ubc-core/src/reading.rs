//! Rows as they are read: the numbers of one moment.

use crate::{ContainerId, Limits, PerResource};

/// The numbers of one resource of one beancounter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Row {
    /// In use now.
    pub held: u64,
    /// The highest use since creation or the last reset.
    pub maxheld: u64,
    /// The lowest use seen right after a charge since the last reset; 0
    /// before a first reset (as in OpenVZ). No file shows it.
    pub minheld: u64,
    /// Where HARD charges stop.
    pub barrier: u64,
    /// Where SOFT charges stop.
    pub limit: u64,
    /// Refused operations (not units) since creation. Never falls.
    pub failcnt: u64,
}

impl Row {
    /// A row with these thresholds and nothing counted yet.
    pub const fn from_limits(limits: Limits) -> Row {
        let Limits { barrier, limit } = limits;
        Row { held: 0, maxheld: 0, minheld: 0, barrier, limit, failcnt: 0 }
    }

    /// Barrier and limit as a pair.
    pub const fn limits(&self) -> Limits {
        Limits { barrier: self.barrier, limit: self.limit }
    }
}

/// One consistent set of rows of one beancounter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reading {
    /// Whose numbers these are.
    pub id: ContainerId,
    /// The numbers.
    pub rows: PerResource<Row>,
}

/// What a meter saw of a resource whose truth lives in the kernel.
///
/// `None` means that the meter cannot tell, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Observation {
    /// In use now, in the resource's unit.
    pub held: Option<u64>,
    /// The highest use the kernel remembers (`memory.peak`, `pids.peak`).
    pub peak: Option<u64>,
    /// The kernel's own count of refusals (`pids.events`, `memory.events`).
    pub failures: Option<u64>,
}

impl Observation {
    /// Only a current use.
    pub const fn held(held: u64) -> Observation {
        Observation { held: Some(held), peak: None, failures: None }
    }
}
