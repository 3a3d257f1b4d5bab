//! Scheduler: OpenVZ's CPU and I/O parameters, which no beancounter row has.
//!
//! | knob | file | value |
//! |---|---|---|
//! | cpuunits | `cpu.weight` | a tenth, 1..=10000 |
//! | cpulimit | `cpu.max` | quota in microseconds, period 100000 |
//! | cpus | `cpu.max` | 100000 for each CPU; the lower of this and cpulimit |
//! | cpumask | `cpuset.cpus` | the list; none for all |
//! | nodemask | `cpuset.mems` | the list; none for all |
//! | ioprio | `io.weight`, `io.bfq.weight` | a fifth of OpenVZ's weight |
//! | iolimit | `io.max` | `rbps` and `wbps` for each device |
//! | iopslimit | `io.max` | `riops` and `wiops` for each device |
//!
//! docs/schedulers.md has the reasons and what was measured. Texts like
//! `50%` or `10M` are read elsewhere.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::settings::Settings;
use crate::{Cgroup, Error, Result};

mod cpu;
mod device;
mod io;
mod knob;
mod mask;
mod plan;
mod processors;
mod weigher;

pub use cpu::{CpuLimit, CpuUnits};
pub use device::BlockDevice;
pub use io::{IoPriority, Rate};
pub use knob::{Knob, Scheduled, Target};
pub use mask::{Ids, Mask};
pub use processors::Processors;
pub(crate) use weigher::Weigher;

/// A change of a container's schedulers. `None` leaves a knob alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Share of busy CPUs.
    pub cpu_units: Option<CpuUnits>,
    /// Most CPU time.
    pub cpu_limit: Option<CpuLimit>,
    /// Most CPUs' worth of time; 0 is all.
    pub cpus: Option<u32>,
    /// CPUs to run on.
    pub cpu_mask: Option<Mask>,
    /// Memory nodes to allocate from; what lies elsewhere is moved.
    pub node_mask: Option<Mask>,
    /// Share of busy devices.
    pub io_priority: Option<IoPriority>,
    /// Bytes per second, reading and writing each.
    pub io_limit: Option<Rate>,
    /// Operations per second, reading and writing each.
    pub iops_limit: Option<Rate>,
    /// What `io_limit` and `iops_limit` are for. Other devices keep the
    /// limits they have.
    pub devices: Vec<BlockDevice>,
}

/// Writes schedules into the files of one cgroup.
#[derive(Debug)]
pub struct Scheduler {
    files: Settings,
    root: OwnedFd,
    cpu_limit: CpuLimit,
    cpus: u32,
}

impl Scheduler {
    /// A scheduler for a container.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn new(cgroup: &Cgroup) -> Result<Scheduler> {
        Self::of_directory(cgroup.as_dir(), cgroup.path(), cgroup.root())
    }

    /// A scheduler for a directory with controller files in it.
    fn of_directory(dir: BorrowedFd<'_>, at: &Path, root: BorrowedFd<'_>) -> Result<Scheduler> {
        Ok(Scheduler {
            files: Settings::of_directory(dir, at)?,
            root: root.try_clone_to_owned().map_err(|e| Error::io("duplicate", at, e))?,
            cpu_limit: CpuLimit::Unlimited,
            cpus: 0,
        })
    }

    /// Writes what is given, reads each value back, and says of each knob
    /// given who acts on it now. All is applied, or none: after a failure the
    /// files written before hold what they held.
    ///
    /// cpulimit and cpus share a file. The one that is not given is what this
    /// scheduler was given last, else no limit.
    ///
    /// A knob nobody can apply is no error; it is reported as
    /// [`Scheduled::Not`], and the caller decides.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] with file, knob, value and errno (`ENODEV`: no such
    /// device, or a partition); [`Error::LimitReadsBack`] when the kernel
    /// keeps another value, or runs the container on CPUs or nodes outside
    /// the mask because none of the mask is there;
    /// [`Error::UnknownFrequency`]; [`Error::Removed`].
    pub fn apply(&mut self, schedule: &Schedule) -> Result<BTreeMap<Knob, Scheduled>> {
        self.apply_on(schedule, Processors::probe()?, Weigher::probe(self.root.as_fd()))
    }

    fn apply_on(
        &mut self,
        schedule: &Schedule,
        node: Processors,
        weigher: Weigher,
    ) -> Result<BTreeMap<Knob, Scheduled>> {
        let cpu_limit = schedule.cpu_limit.unwrap_or(self.cpu_limit);
        let cpus = schedule.cpus.unwrap_or(self.cpus);
        let settings = plan::settings(schedule, (cpu_limit, cpus), node)?;
        let present = self.files.apply(&settings)?;
        (self.cpu_limit, self.cpus) = (cpu_limit, cpus);
        let mut status = BTreeMap::new();
        for (setting, here) in settings.iter().zip(present) {
            let Target::Knob(knob) = setting.target else { continue };
            let said = if here { Scheduled::By(setting.file) } else { missing(knob) };
            status.insert(knob, said);
        }
        if schedule.io_priority.is_some() {
            let has = |file| self.files.has(file);
            let said = weigher.status(has("io.weight"), has("io.bfq.weight"));
            status.insert(Knob::IoPriority, said);
        }
        if schedule.devices.is_empty() {
            let given = [
                schedule.io_limit.map(|_| Knob::IoLimit),
                schedule.iops_limit.map(|_| Knob::IopsLimit),
            ];
            for knob in given.into_iter().flatten() {
                status.insert(knob, Scheduled::Not("no block device to limit was given".into()));
            }
        }
        Ok(status)
    }
}

/// What is said of a knob whose file a cgroup does not have.
fn missing(knob: Knob) -> Scheduled {
    let (file, controller) = (knob.file(), knob.controller());
    Scheduled::Not(
        format!("this cgroup has no {file}: the {controller} controller is not enabled for it")
            .into(),
    )
}

#[cfg(test)]
mod tests;
