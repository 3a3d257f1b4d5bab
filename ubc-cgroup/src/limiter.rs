//! Limiter: gives the kernel the limits its controllers can keep.
//!
//! | row | file | value |
//! |---|---|---|
//! | numproc | `pids.max` | the lower of barrier and limit: fork is a HARD site |
//! | physpages | `memory.max` | limit, in bytes; charges are SOFT |
//! | physpages | `memory.high` | barrier, when it is neither 0 nor at or above the limit |
//! | swappages | `memory.swap.max` | limit, in bytes |
//! | oomguarpages | `memory.low` | barrier, in bytes; a guarantee |
//!
//! Why so. 042stab ignored the barrier of physpages, and configurations carry
//! 0 there, so 0 sets nothing; a barrier someone chose between 0 and the
//! limit is where reclaim starts early, which is what a barrier is for and
//! refuses nobody. oomguarpages goes to `memory.low`, not `memory.min`: low
//! keeps memory from reclaim while anybody else has some to give, min keeps
//! it even when the machine then has to kill, and guarantees are sold beyond
//! what the machine has (VSwap sets oomguarpages to all of a container's
//! RAM). An unlimited guarantee promises what no machine has, so it sets 0.
//! Whom the kernel kills it decides by `oom_score_adj` ([`crate::oom`]).
//! vmguarpages is a promise about granting address space, which the kernel's
//! overcommit keeps or not, for everybody; no file of a cgroup is written.

use std::os::fd::BorrowedFd;
use std::path::Path;

use ubc_core::{Limits, PerResource, Resource};

use crate::settings::{Setting, Settings};
use crate::{Cgroup, Enforced, Result};

mod found;
mod plan;

pub use found::FoundLimits;
pub(crate) use plan::Write;

/// Writes limits into the files of one cgroup.
#[derive(Debug)]
pub struct Limiter {
    files: Settings,
}

impl Limiter {
    /// A limiter for a container.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn new(cgroup: &Cgroup) -> Result<Limiter> {
        Self::of_directory(cgroup.as_dir(), cgroup.path())
    }

    /// A limiter for a directory with controller files in it.
    fn of_directory(dir: BorrowedFd<'_>, at: &Path) -> Result<Limiter> {
        Ok(Limiter { files: Settings::of_directory(dir, at)? })
    }

    /// Writes the given limits (`None`: leave the row alone), reads each
    /// back, and says who enforces each row now. All are applied, or none:
    /// after a failure the files written before hold what they held.
    ///
    /// A limit nobody can apply is no error; it is reported as
    /// [`Enforced::ObservedOnly`], and the caller decides.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Limit`] with file, row, value and errno;
    /// [`crate::Error::LimitReadsBack`] when the kernel keeps another value;
    /// [`crate::Error::Removed`].
    pub fn apply(&self, limits: &PerResource<Option<Limits>>) -> Result<PerResource<Enforced>> {
        self.apply_all(&writes(limits))
    }

    fn apply_all(&self, writes: &[Write]) -> Result<PerResource<Enforced>> {
        let settings: Vec<Setting> = writes.iter().map(Write::setting).collect();
        Ok(enforced(writes, &self.files.apply(&settings)?))
    }
}

/// The writes for some limits, in the order to make them.
pub(crate) fn writes(limits: &PerResource<Option<Limits>>) -> Vec<Write> {
    plan::writes(limits, rustix::param::page_size() as u64)
}

/// Who enforces each row after these writes, given what was in the files.
pub(crate) fn enforced(writes: &[Write], found: &[Option<String>]) -> PerResource<Enforced> {
    let mut enforced = PerResource::from_fn(not_applied);
    for (write, found) in writes.iter().zip(found) {
        if write.main && found.is_some() {
            enforced[write.resource] = write.enforced(false);
        }
    }
    enforced
}

/// What is said of a row whose limit was not written.
pub(crate) fn not_applied(resource: Resource) -> Enforced {
    Enforced::ObservedOnly(
        match resource {
            Resource::PhysPages | Resource::SwapPages | Resource::OomGuarPages => {
                "memory controller is not in cgroup v2 here"
            }
            Resource::NumProc => "pids controller is not in cgroup v2 here",
            Resource::VmGuarPages => "vm.overcommit_memory is 2: address space is not promised",
            Resource::KmemSize | Resource::DcacheSize => "cgroup v2 limits it only with physpages",
            _ => "no controller refuses it",
        }
        .into(),
    )
}

#[cfg(test)]
mod tests;
