//! This machine, as the command and the daemon look at it.

use log::warn;
use std::collections::BTreeMap;
use std::sync::Arc;

use ubc_cgroup::ubc_bpf::Options;
use ubc_cgroup::{Error, Host, Knob, Programs, RowStatus, Scheduled};
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

/// The kernel's programs, on duty and tested; without them, why. The
/// controllers do what they can, then.
pub(crate) fn programs(host: &Host) -> std::result::Result<Arc<Programs>, String> {
    Programs::open(host, &Options::default()).map_err(|error| error.to_string())
}

/// Who meters and who enforces each row, and who acts on each scheduler knob.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) rows: PerResource<RowStatus>,
    pub(crate) knobs: BTreeMap<Knob, Scheduled>,
}

impl Claims {
    /// Tested on the running kernel. What cannot be tested is not claimed.
    pub(crate) fn tested(host: &Host, programs: Option<&Programs>) -> Claims {
        let mut rows = host.self_test().unwrap_or_else(|error| {
            warn!("self-test: {error}");
            host.rows()
        });
        if let Some(programs) = programs {
            programs.improve(&mut rows);
        }
        let knobs = host.self_test_schedulers().unwrap_or_else(|error| {
            warn!("self-test of the schedulers: {error}");
            host.schedulers()
        });
        Claims { rows, knobs }
    }
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

/// The same, with what of it the kernel can use for itself.
pub(crate) fn whole_memory() -> ubc_core::memory::Memory {
    let HostMemory { ram, swap, .. } = memory();
    let info = rustix::system::sysinfo();
    // A 32-bit kernel has some of it out of its own reach.
    let high = info.totalhigh.saturating_mul(u64::from(info.mem_unit));
    ubc_core::memory::Memory { ram, swap, low: ram.saturating_sub(high) }
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
