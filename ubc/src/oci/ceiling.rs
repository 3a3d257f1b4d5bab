//! The limits in a config.json, under `linux.resources`.

use serde::Deserialize;
use ubc_core::Resource;

use crate::error::Result;
use crate::limits::page_size;
use crate::protocol::Wanted;

/// As much of a config.json's `linux` as is looked at.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Linux {
    resources: Option<Resources>,
}

#[derive(Debug, Default, Deserialize)]
struct Resources {
    pids: Option<Pids>,
    memory: Option<Memory>,
}

#[derive(Debug, Default, Deserialize)]
struct Pids {
    limit: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
struct Memory {
    /// Bytes.
    limit: Option<i64>,
    /// Of RAM and swap together, in bytes.
    swap: Option<i64>,
}

/// What the runtime limits anyway, in each row's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceiling {
    numproc: Option<u64>,
    physpages: Option<u64>,
    swappages: Option<u64>,
}

impl Ceiling {
    /// What a config.json says.
    pub(crate) fn of(linux: Option<&Linux>) -> Result<Ceiling> {
        let page = page_size()?;
        let resources = linux.and_then(|linux| linux.resources.as_ref());
        let memory = resources.and_then(|all| all.memory.as_ref());
        let ram = memory.and_then(|memory| limit(memory.limit));
        let both = memory.and_then(|memory| limit(memory.swap));
        let pids = resources.and_then(|all| all.pids.as_ref());
        Ok(Ceiling {
            numproc: pids.and_then(|pids| limit(pids.limit)),
            physpages: ram.map(|bytes| bytes / page.bytes()),
            swappages: both.zip(ram).map(|(both, ram)| both.saturating_sub(ram) / page.bytes()),
        })
    }

    /// Lowers those of the rows of which `which` is true to it.
    pub(crate) fn lower(&self, limits: &mut Wanted, which: impl Fn(Resource) -> bool) {
        for (row, most) in [
            (Resource::NumProc, self.numproc),
            (Resource::PhysPages, self.physpages),
            (Resource::SwapPages, self.swappages),
        ] {
            if let (Some(limits), Some(most), true) = (&mut limits[row], most, which(row)) {
                limits.barrier = limits.barrier.min(most);
                limits.limit = limits.limit.min(most);
            }
        }
    }
}

/// Runtimes take 0 and -1 for none.
fn limit(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}
