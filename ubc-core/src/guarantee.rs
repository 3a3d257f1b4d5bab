//! The two guarantees: memory that will be granted (vmguarpages) and memory
//! that survives an out-of-memory kill (oomguarpages).
//!
//! Neither counts anything of its own. A guarantee is a promise made by its
//! barrier; its limit means nothing and is left unlimited.

use crate::page::clamp;
use crate::{PageSize, PerResource, Resource, Row};

/// What becomes of a request for private memory (`mmap`, `brk`, `fork`...).
///
/// `E` is whatever the caller's charge of privvmpages fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an allocation that is refused must not happen"]
pub enum Allocation<E> {
    /// The charge of privvmpages was refused, and so is the request: the
    /// guarantee is asked only after the charge and rescues nothing.
    Refused(E),
    /// Within the guarantee: granted, whatever the system's overcommit test
    /// would say.
    Guaranteed,
    /// Accepted by the beancounter but beyond the guarantee: the system's
    /// ordinary overcommit test decides.
    BestEffort,
}

/// Decides a request for private memory made by a process of a container.
///
/// `charge` is the outcome of charging privvmpages: the pages held *after*
/// the charge, or the refusal. `guarantee` is the barrier of vmguarpages, in
/// pages. Holding exactly the guarantee is still within it.
///
/// The rule is that of the "enough memory" hook (2.6.18 `mm/mmap.c`, 042stab
/// virtinfo). The kernel's own allocations never ask for the guarantee.
///
/// # Examples
///
/// ```
/// use ubc_core::guarantee::{Allocation, decide};
///
/// assert_eq!(decide(Ok::<_, ()>(33_792), 33_792), Allocation::Guaranteed);
/// assert_eq!(decide(Ok::<_, ()>(33_793), 33_792), Allocation::BestEffort);
/// assert_eq!(decide(Err("over the limit"), 33_792), Allocation::Refused("over the limit"));
/// ```
pub fn decide<E>(charge: Result<u64, E>, guarantee: u64) -> Allocation<E> {
    match charge {
        Err(refusal) => Allocation::Refused(refusal),
        Ok(held) if held <= guarantee => Allocation::Guaranteed,
        Ok(_) => Allocation::BestEffort,
    }
}

/// The pages of a container that only a kill (or its own exit) would free:
/// what oomguarpages is derived from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnreclaimablePages {
    /// Anonymous pages on the active list (`active_anon`).
    pub active_anon: u64,
    /// Anonymous pages on the inactive list (`inactive_anon`).
    pub inactive_anon: u64,
    /// Pages that cannot be reclaimed, mostly locked ones (`unevictable`).
    pub unevictable: u64,
    /// Pages in swap: held of swappages.
    pub swap: u64,
}

impl UnreclaimablePages {
    /// The held of oomguarpages, in pages: the sum (042stab
    /// `kernel/bc/oom_kill.c`). 2.6.18 took all of physpages instead of the
    /// lists; this is the later rule. At most [`UNLIMITED`](crate::UNLIMITED).
    pub fn held(self) -> u64 {
        let pages = [self.active_anon, self.inactive_anon, self.unevictable, self.swap];
        clamp(pages.into_iter().map(u128::from).sum())
    }
}

/// How far a container is above what oomguarpages guarantees it, in pages;
/// negative below the guarantee.
///
/// Held of oomguarpages, plus kernel memory and the four socket buffers
/// converted to whole pages, minus the barrier of oomguarpages (2.6.18
/// `kernel/ub/ub_oom.c`, 042stab `kernel/bc/oom_kill.c`). The buffers are
/// added up in bytes first, so the conversion rounds down only once.
///
/// Exact for every row: the result has room for the largest sum of 64-bit
/// numbers.
pub fn overdraft(rows: &PerResource<Row>, page: PageSize) -> i128 {
    const BYTES: [Resource; 5] = [
        Resource::KmemSize,
        Resource::TcpSndBuf,
        Resource::TcpRcvBuf,
        Resource::OtherSockBuf,
        Resource::DgramRcvBuf,
    ];
    let bytes: i128 = BYTES.into_iter().map(|resource| i128::from(rows[resource].held)).sum();
    let memory = rows[Resource::OomGuarPages];
    i128::from(memory.held) + bytes / i128::from(page.bytes()) - i128::from(memory.barrier)
}

#[cfg(test)]
mod tests;
