//! The knobs, and what is true of each here.

use std::borrow::Cow;
use std::fmt;

use ubc_core::Resource;

/// A scheduler parameter of a container, under its OpenVZ name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Knob {
    /// Share of the CPUs when they are wanted by more than there is.
    CpuUnits,
    /// Most CPU time, whoever else wants it.
    CpuLimit,
    /// Most CPUs' worth of time.
    Cpus,
    /// CPUs it may run on.
    CpuMask,
    /// Memory nodes it may allocate from.
    NodeMask,
    /// Share of a saturated device.
    IoPriority,
    /// Most bytes per second.
    IoLimit,
    /// Most operations per second.
    IopsLimit,
}

impl Knob {
    /// All, in the order of the vzctl manual.
    pub const ALL: [Knob; 8] = [
        Knob::CpuUnits,
        Knob::CpuLimit,
        Knob::Cpus,
        Knob::CpuMask,
        Knob::NodeMask,
        Knob::IoPriority,
        Knob::IoLimit,
        Knob::IopsLimit,
    ];

    /// `cpuunits`, as `vzctl set` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Knob::CpuUnits => "cpuunits",
            Knob::CpuLimit => "cpulimit",
            Knob::Cpus => "cpus",
            Knob::CpuMask => "cpumask",
            Knob::NodeMask => "nodemask",
            Knob::IoPriority => "ioprio",
            Knob::IoLimit => "iolimit",
            Knob::IopsLimit => "iopslimit",
        }
    }

    /// The values it takes, for messages.
    pub const fn accepted(self) -> &'static str {
        match self {
            Knob::CpuUnits => "8 to 500000, default 1000",
            Knob::CpuLimit => {
                "percent of one CPU, percent of all CPUs such as 25%, MHz such as 1000m, or 0 or \
                 unlimited for no limit"
            }
            Knob::Cpus => "a number of CPUs, or 0 or unlimited for all",
            Knob::CpuMask | Knob::NodeMask => "a list such as 0-2,5, or all",
            Knob::IoPriority => "0 to 7, default 4",
            Knob::IoLimit => "bytes per second, or 0 or unlimited for no limit",
            Knob::IopsLimit => "operations per second, or 0 or unlimited for no limit",
        }
    }

    /// The knob `vzctl set` calls so.
    pub fn from_name(name: &str) -> Option<Knob> {
        Knob::ALL.into_iter().find(|knob| knob.name() == name)
    }

    /// The controller that applies it.
    pub const fn controller(self) -> &'static str {
        match self {
            Knob::CpuUnits | Knob::CpuLimit | Knob::Cpus => "cpu",
            Knob::CpuMask | Knob::NodeMask => "cpuset",
            Knob::IoPriority | Knob::IoLimit | Knob::IopsLimit => "io",
        }
    }

    /// The file that applies it, where the kernel leaves no choice; for
    /// [`Knob::IoPriority`] the one of io.cost.
    pub const fn file(self) -> &'static str {
        match self {
            Knob::CpuUnits => "cpu.weight",
            Knob::CpuLimit | Knob::Cpus => "cpu.max",
            Knob::CpuMask => "cpuset.cpus",
            Knob::NodeMask => "cpuset.mems",
            Knob::IoPriority => "io.weight",
            Knob::IoLimit | Knob::IopsLimit => "io.max",
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who acts on a knob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheduled {
    /// The kernel, through this file.
    By {
        /// `cpu.max`.
        file: &'static str,
        /// Whether the effect was seen on this kernel
        /// ([`crate::Host::self_test_schedulers`]).
        proven: bool,
    },
    /// The value is kept in this file, and nothing on this machine heeds it.
    Inert {
        /// `io.weight`.
        file: &'static str,
        /// What is missing.
        reason: Cow<'static, str>,
    },
    /// The value goes nowhere, for this reason.
    Not(Cow<'static, str>),
}

impl Scheduled {
    /// The kernel, through this file; not tested.
    pub const fn by(file: &'static str) -> Scheduled {
        Scheduled::By { file, proven: false }
    }

    /// Whether the kernel acts on it.
    pub const fn is_applied(&self) -> bool {
        matches!(self, Scheduled::By { .. })
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheduled::By { file, proven: true } => f.pad(file),
            Scheduled::By { file, proven: false } => f.pad(&format!("{file} (untested)")),
            Scheduled::Inert { file, reason } => {
                f.pad(&format!("{file}, without effect: {reason}"))
            }
            Scheduled::Not(reason) => f.pad(&format!("not applied: {reason}")),
        }
    }
}

/// What a value was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The limits of a beancounter row.
    Row(Resource),
    /// A scheduler parameter.
    Knob(Knob),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Row(resource) => resource.fmt(f),
            Target::Knob(knob) => knob.fmt(f),
        }
    }
}
