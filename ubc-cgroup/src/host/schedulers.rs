//! What can be said of each scheduler knob before any container is looked
//! at.

use std::collections::BTreeMap;

use super::Host;
use crate::scheduler::Weigher;
use crate::{Knob, Scheduled};

impl Host {
    /// Which file would apply each scheduler knob to a container made here
    /// ([`crate::Cgroup::create`]), or why none does; nothing is proven.
    /// [`crate::Scheduler::state`] says it of one container.
    pub fn schedulers(&self) -> BTreeMap<Knob, Scheduled> {
        Knob::ALL.into_iter().map(|knob| (knob, self.scheduler(knob))).collect()
    }

    fn scheduler(&self, knob: Knob) -> Scheduled {
        let controller = knob.controller();
        if !self.has_controller(controller) {
            return Scheduled::Not(
                format!("{controller} controller is not in cgroup v2 here").into(),
            );
        }
        match knob {
            // The files themselves are in no root cgroup. A kernel with BFQ
            // loaded makes the one, a kernel built with io.cost the other.
            Knob::IoPriority => {
                let weigher = Weigher::probe(self.root());
                let io_cost = crate::files::read(self.root(), "io.cost.qos").is_ok();
                weigher.status(io_cost, weigher.bfq)
            }
            _ => Scheduled::by(knob.file()),
        }
    }
}
