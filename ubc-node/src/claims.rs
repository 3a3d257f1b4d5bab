//! What this machine can do, as it was tested.

use std::collections::BTreeMap;

use log::warn;
use ubc_cgroup::{Host, Knob, Programs, RowStatus, Scheduled};
use ubc_core::PerResource;
use ubc_procfs::text::meminfo::HostMemory;

/// Who meters and who enforces each row, and who acts on each scheduler knob.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claims {
    /// Of each row.
    pub rows: PerResource<RowStatus>,
    /// Of each knob; every one of [`Knob::ALL`] is in it.
    pub knobs: BTreeMap<Knob, Scheduled>,
}

impl Claims {
    /// Tested on the running kernel. What cannot be tested is not claimed.
    ///
    /// Takes up to some seconds: processes are started and refused.
    pub fn tested(host: &Host, programs: Option<&Programs>) -> Claims {
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

    /// As the machine's files have it, for those who cannot wait for a test:
    /// controllers are `proven: false`. What a program refuses was seen since the
    /// programs are in the kernel, by whoever put them there.
    pub fn untested(host: &Host, programs: Option<&Programs>) -> Claims {
        let mut rows = host.rows();
        if let Some(programs) = programs {
            programs.improve(&mut rows);
        }
        Claims { rows, knobs: host.schedulers() }
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
