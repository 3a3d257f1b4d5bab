//! This machine, as the command and the daemon look at it.

use ubc_cgroup::{Error, Host};
pub(crate) use ubc_node::{CGROUP, Claims};

use crate::error::{Failure, Kind, Result};

/// Finds out what this machine can do.
pub(crate) fn probe() -> Result<Host> {
    Host::probe().map_err(|error| {
        let kind = match error {
            Error::NotRoot { .. } => Kind::NoPermission,
            _ => Kind::Unavailable,
        };
        Failure::new(kind, error)
    })
}

/// What the machine has of RAM and swap now, and what of it the kernel can use for
/// itself.
pub(crate) fn whole_memory() -> ubc_core::memory::Memory {
    let info = rustix::system::sysinfo();
    let bytes = |units: u64| units.saturating_mul(u64::from(info.mem_unit));
    let ram = bytes(info.totalram);
    // A 32-bit kernel has some of it out of its own reach.
    ubc_core::memory::Memory {
        ram,
        swap: bytes(info.totalswap),
        low: ram.saturating_sub(bytes(info.totalhigh)),
    }
}

/// The same, as far as the rules want it.
pub(crate) fn memory_for_rules() -> ubc_core::rules::HostMemory {
    let ubc_core::memory::Memory { ram, swap, .. } = whole_memory();
    ubc_core::rules::HostMemory { ram, swap }
}

/// The most threads the kernel allows.
pub(crate) fn threads() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/threads-max").unwrap_or_default();
    text.trim().parse().unwrap_or(u64::from(u32::MAX))
}
