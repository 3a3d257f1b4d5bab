//! Sockets, their buffers, and packet filter rules, on the running kernel.
//! Needs root, and a kernel that lets programs refuse; says so when it skips.

#[path = "../common/mod.rs"]
mod common;

mod actor;
mod buffers;
mod found;
mod rules;
mod sender;
mod senders;
mod sending;
mod sockets;

use common::Scratch;
use common::shared::{Shared, shared};
use ubc_bpf::{Count, Slot};
use ubc_core::{Limits, PerResource, Resource};

/// A container with one limit.
struct Container {
    // Dropped in this order: the cgroup's processes end first.
    scratch: Scratch,
    slot: Slot,
    enforcer: Shared,
}

impl Container {
    fn new(test: &str) -> Option<Container> {
        let enforcer = shared(test)?;
        let (scratch, slot) = enforcer.container(101);
        Some(Container { scratch, slot, enforcer })
    }

    fn limit(&self, resource: Resource, most: u64) {
        let mut limits = PerResource::default();
        limits[resource] = Some(Limits { barrier: most, limit: most });
        self.enforcer.set_limits(self.slot, &limits).expect("limits can be set");
    }

    fn count(&self, resource: Resource) -> Count {
        self.enforcer.counts(self.slot).expect("counts can be read")[resource]
    }

    /// Waits until a row holds that much. The kernel ends some things later.
    fn settles(&self, resource: Resource, held: u64) {
        for _ in 0..1000 {
            if self.count(resource).held == held {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(self.count(resource).held, held, "{resource} at last");
    }

    /// Everything was given back and nothing went wrong. Of kernel memory a cgroup
    /// keeps some as long as it is there.
    fn ends(&self) {
        for resource in Resource::ALL.into_iter().filter(|row| *row != Resource::KmemSize) {
            self.settles(resource, 0);
        }
        self.enforcer.clean(&[self.slot]);
    }
}
