//! This machine, as the command and the daemon look at it.

use log::warn;
use ubc_cgroup::{Error, Host, RowStatus};
use ubc_core::PerResource;
use ubc_procfs::text::meminfo::HostMemory;

use crate::error::{Failure, Kind, Result};

/// The cgroup below which every container of `ubc run` gets its own.
pub(crate) const CGROUP: &str = "ubc";

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

/// Who meters and who enforces each row, tested on the running kernel. What
/// cannot be tested is not claimed.
pub(crate) fn status(host: &Host) -> PerResource<RowStatus> {
    host.self_test().unwrap_or_else(|error| {
        warn!("self-test: {error}");
        host.rows()
    })
}

/// What the machine has of RAM and swap now.
pub(crate) fn memory() -> HostMemory {
    let info = rustix::system::sysinfo();
    let bytes = |units: u64| units.saturating_mul(u64::from(info.mem_unit));
    HostMemory {
        ram: bytes(info.totalram),
        swap: bytes(info.totalswap),
        page: rustix::param::page_size() as u64,
    }
}
