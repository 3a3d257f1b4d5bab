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
//! docs/schedulers.md has the reasons and what was measured.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::settings::{Setting, Settings};
use crate::{Cgroup, Error, Result};

mod cpu;
mod device;
mod io;
mod knob;
mod mask;
mod plan;
mod processors;
mod schedule;
mod state;
mod value;
mod weigher;

pub use cpu::{CpuLimit, CpuUnits};
pub use device::BlockDevice;
pub use io::{IoPriority, Rate};
pub use knob::{Knob, Scheduled, Target};
pub use mask::{Ids, Mask};
pub use processors::Processors;
pub use schedule::Schedule;
pub use state::KnobState;
pub use value::InvalidValue;
pub(crate) use weigher::Weigher;

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
    pub(crate) fn of_directory(
        dir: BorrowedFd<'_>,
        at: &Path,
        root: BorrowedFd<'_>,
    ) -> Result<Scheduler> {
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
        self.apply_on(schedule, &self.look(schedule)?)
    }

    /// What of the machine a schedule depends on; nothing is looked at for an
    /// empty one.
    fn look(&self, schedule: &Schedule) -> Result<Machine> {
        if schedule.is_empty() {
            return Ok(Machine::default());
        }
        Ok(Machine { processors: Processors::probe()?, weigher: Weigher::probe(self.root.as_fd()) })
    }

    fn apply_on(
        &mut self,
        schedule: &Schedule,
        machine: &Machine,
    ) -> Result<BTreeMap<Knob, Scheduled>> {
        let change = self.plan_on(schedule, machine)?;
        let found = self.files.apply(&change.settings)?;
        Ok(self.done(&change, &found))
    }

    /// What a schedule asks to be written.
    pub(crate) fn plan(&self, schedule: &Schedule) -> Result<Change> {
        self.plan_on(schedule, &self.look(schedule)?)
    }

    fn plan_on(&self, schedule: &Schedule, machine: &Machine) -> Result<Change> {
        let cpu_limit = schedule.cpu_limit.unwrap_or(self.cpu_limit);
        let cpus = schedule.cpus.unwrap_or(self.cpus);
        let settings = plan::settings(schedule, (cpu_limit, cpus), machine.processors)?;
        let mut told = BTreeMap::new();
        if schedule.io_priority.is_some() {
            told.insert(Knob::IoPriority, self.weighed(machine.weigher));
        }
        if schedule.devices.is_empty() {
            let given = [
                schedule.io_limit.map(|_| Knob::IoLimit),
                schedule.iops_limit.map(|_| Knob::IopsLimit),
            ];
            for knob in given.into_iter().flatten() {
                told.insert(knob, Scheduled::Not(NO_DEVICE.into()));
            }
        }
        Ok(Change { settings, cpu_limit, cpus, told })
    }

    /// Remembers what was written, and says of each knob who acts on it.
    pub(crate) fn done(
        &mut self,
        change: &Change,
        found: &[Option<String>],
    ) -> BTreeMap<Knob, Scheduled> {
        (self.cpu_limit, self.cpus) = (change.cpu_limit, change.cpus);
        let mut status = BTreeMap::new();
        for (setting, found) in change.settings.iter().zip(found) {
            let Target::Knob(knob) = setting.target else { continue };
            let said = if found.is_some() { Scheduled::by(setting.file) } else { missing(knob) };
            status.insert(knob, said);
        }
        status.extend(change.told.clone());
        status
    }

    fn weighed(&self, weigher: Weigher) -> Scheduled {
        weigher.status(self.files.has("io.weight"), self.files.has("io.bfq.weight"))
    }

    /// The files, for whoever changes more of them at once.
    pub(crate) fn files(&self) -> &Settings {
        &self.files
    }
}

/// What of the machine schedules depend on.
#[derive(Default)]
struct Machine {
    processors: Processors,
    weigher: Weigher,
}

/// A schedule, ready to be written.
#[derive(Debug)]
pub(crate) struct Change {
    /// In the order to write them.
    pub(crate) settings: Vec<Setting>,
    cpu_limit: CpuLimit,
    cpus: u32,
    /// What is said of knobs that no single file answers for.
    told: BTreeMap<Knob, Scheduled>,
}

const NO_DEVICE: &str = "no block device to limit was given";

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
