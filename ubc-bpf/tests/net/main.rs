//! Sockets, their buffers, and packet filter rules, on the running kernel.
//! Needs root, and a kernel that lets programs refuse; says so when it skips.

#[path = "../common/mod.rs"]
mod common;

mod actor;
mod buffers;
mod rules;
mod sender;
mod sending;
mod sockets;

use std::os::fd::AsFd as _;

use common::{Installed, Scratch};
use ubc_bpf::{Count, Faults, Slot};
use ubc_core::{Limits, PerResource, Resource};

/// A container with one limit.
struct Container {
    // Dropped in this order: the cgroup's processes end first.
    scratch: Scratch,
    slot: Slot,
    enforcer: Installed,
}

impl Container {
    fn new(test: &str) -> Option<Container> {
        let enforcer = common::enforcer(test)?;
        let scratch = Scratch::new();
        let slot = enforcer.add(scratch.dir.as_fd(), 101, None).expect("a place");
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

    /// Everything was given back and nothing went wrong.
    fn ends(&self) {
        for resource in Resource::ALL {
            self.settles(resource, 0);
        }
        for _ in 0..300 {
            if self.enforcer.objects() == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(self.enforcer.objects(), 0, "records left");
        assert_eq!(self.enforcer.faults().expect("readable"), Faults::default());
    }
}
