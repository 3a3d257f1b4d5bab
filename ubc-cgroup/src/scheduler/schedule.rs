//! A change of a container's schedulers.

use super::{BlockDevice, CpuLimit, CpuUnits, IoPriority, Knob, Mask, Rate};

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

impl Schedule {
    /// The knobs it has a value for.
    pub fn knobs(&self) -> impl Iterator<Item = Knob> {
        Knob::ALL.into_iter().filter(|knob| self.has(*knob))
    }

    /// Whether it leaves every knob alone.
    pub fn is_empty(&self) -> bool {
        self.knobs().next().is_none()
    }

    fn has(&self, knob: Knob) -> bool {
        match knob {
            Knob::CpuUnits => self.cpu_units.is_some(),
            Knob::CpuLimit => self.cpu_limit.is_some(),
            Knob::Cpus => self.cpus.is_some(),
            Knob::CpuMask => self.cpu_mask.is_some(),
            Knob::NodeMask => self.node_mask.is_some(),
            Knob::IoPriority => self.io_priority.is_some(),
            Knob::IoLimit => self.io_limit.is_some(),
            Knob::IopsLimit => self.iops_limit.is_some(),
        }
    }

    /// Whether the value of a knob is what every container has that was given
    /// none, so that it needs nobody to apply it. True of one left alone.
    pub fn is_default(&self, knob: Knob) -> bool {
        match knob {
            Knob::CpuUnits => self.cpu_units.is_none_or(|units| units == CpuUnits::DEFAULT),
            Knob::CpuLimit => self.cpu_limit.is_none_or(CpuLimit::is_unlimited),
            Knob::Cpus => self.cpus.is_none_or(|cpus| cpus == 0),
            Knob::CpuMask => self.cpu_mask.as_ref().is_none_or(|mask| *mask == Mask::All),
            Knob::NodeMask => self.node_mask.as_ref().is_none_or(|mask| *mask == Mask::All),
            Knob::IoPriority => self.io_priority.is_none_or(|prio| prio == IoPriority::DEFAULT),
            Knob::IoLimit => self.io_limit.is_none_or(|rate| rate == Rate::UNLIMITED),
            Knob::IopsLimit => self.iops_limit.is_none_or(|rate| rate == Rate::UNLIMITED),
        }
    }

    /// The same without the knobs that are not `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(Knob) -> bool) -> Schedule {
        Schedule {
            cpu_units: self.cpu_units.filter(|_| wanted(Knob::CpuUnits)),
            cpu_limit: self.cpu_limit.filter(|_| wanted(Knob::CpuLimit)),
            cpus: self.cpus.filter(|_| wanted(Knob::Cpus)),
            cpu_mask: self.cpu_mask.clone().filter(|_| wanted(Knob::CpuMask)),
            node_mask: self.node_mask.clone().filter(|_| wanted(Knob::NodeMask)),
            io_priority: self.io_priority.filter(|_| wanted(Knob::IoPriority)),
            io_limit: self.io_limit.filter(|_| wanted(Knob::IoLimit)),
            iops_limit: self.iops_limit.filter(|_| wanted(Knob::IopsLimit)),
            devices: self.devices.clone(),
        }
    }

    /// Takes over the values of a later change.
    pub fn merge(&mut self, later: Schedule) {
        self.cpu_units = later.cpu_units.or(self.cpu_units);
        self.cpu_limit = later.cpu_limit.or(self.cpu_limit);
        self.cpus = later.cpus.or(self.cpus);
        self.cpu_mask = later.cpu_mask.or_else(|| self.cpu_mask.take());
        self.node_mask = later.node_mask.or_else(|| self.node_mask.take());
        self.io_priority = later.io_priority.or(self.io_priority);
        self.io_limit = later.io_limit.or(self.io_limit);
        self.iops_limit = later.iops_limit.or(self.iops_limit);
        if !later.devices.is_empty() {
            self.devices = later.devices;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::Knob;

    /// A value of each knob that is not its default.
    fn full() -> Schedule {
        let mut schedule = Schedule::default();
        for knob in Knob::ALL {
            schedule.set(knob, "9").or_else(|_| schedule.set(knob, "7")).unwrap();
        }
        schedule
    }

    #[test]
    fn no_knob_is_forgotten_by_what_goes_over_all_of_them() {
        let full = full();
        assert_eq!(full.knobs().collect::<Vec<_>>(), Knob::ALL);
        let mut merged = Schedule::default();
        for knob in Knob::ALL {
            assert!(!full.is_default(knob), "{knob}");
            let one = full.only(|other| other == knob);
            assert_eq!(one.knobs().collect::<Vec<_>>(), [knob]);
            assert_eq!(one.text(knob), full.text(knob));
            merged.merge(one);
        }
        assert_eq!(merged, full);
        merged.merge(Schedule::default());
        assert_eq!(merged, full, "what is left alone stays");
        assert!(Knob::ALL.iter().all(|knob| Schedule::default().is_default(*knob)));
    }
}
