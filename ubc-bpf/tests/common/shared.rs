//! One enforcer for all tests of a program: installing takes seconds where the
//! machine is emulated.
#![allow(unsafe_code)]

use std::ops::Deref;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ubc_bpf::{Count, Enforcer, Faults, Options, Slot};
use ubc_core::{Limits, PerResource, Resource};

use super::{Scratch, all_given_back, install, refuses, turn};

/// The tests' common enforcer, one test at a time.
pub(crate) struct Shared {
    enforcer: Arc<Enforcer>,
    before: Faults,
    _one: MutexGuard<'static, ()>,
}

impl Deref for Shared {
    type Target = Enforcer;
    fn deref(&self) -> &Enforcer {
        &self.enforcer
    }
}

type Made = Option<(Arc<Enforcer>, Options)>;

/// `None` until the first test; then what it made, if it could.
static INSTALLED: Mutex<Option<Made>> = Mutex::new(None);

/// The enforcer, or `None` after saying why the test is skipped. Only for
/// programs whose tests all use it.
pub(crate) fn shared(test: &str) -> Option<Shared> {
    let one = turn();
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = installed.get_or_insert_with(|| {
        let (enforcer, options) = install();
        if !refuses(test, &enforcer) {
            drop(enforcer);
            Enforcer::uninstall(&options.root).expect("everything is removed");
            return None;
        }
        // SAFETY: registers a function that takes nothing and unwinds nowhere.
        unsafe { libc::atexit(uninstall) };
        Some((Arc::new(enforcer), options))
    });
    let Some(enforcer) = installed.as_ref().map(|(enforcer, _)| Arc::clone(enforcer)) else {
        println!("SKIP: {test}: see above");
        return None;
    };
    let before = enforcer.faults().expect("readable");
    Some(Shared { enforcer, before, _one: one })
}

/// Another one for the same programs, as another process has.
pub(crate) fn another() -> Enforcer {
    let installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let options = installed.iter().flatten().map(|(_, options)| options).next();
    Enforcer::open(options.expect("it is installed")).expect("they are taken over")
}

extern "C" fn uninstall() {
    let installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((enforcer, options)) = installed.flatten() else { return };
    // Nothing can be uninstalled that is in use.
    drop(enforcer);
    if let Err(error) = Enforcer::uninstall(&options.root) {
        eprintln!("{error}");
    }
}

impl Shared {
    /// A container of its own cgroup.
    pub(crate) fn container(&self, ctid: u64) -> (Scratch, Slot) {
        let scratch = Scratch::new();
        let slot = self.add(scratch.dir.as_fd(), ctid, None).expect("there is room");
        (scratch, slot)
    }

    pub(crate) fn count(&self, slot: Slot, resource: Resource) -> Count {
        self.counts(slot).expect("readable")[resource]
    }

    pub(crate) fn held(&self, slot: Slot, resource: Resource) -> u64 {
        self.count(slot, resource).held
    }

    pub(crate) fn failcnt(&self, slot: Slot, resource: Resource) -> u64 {
        self.count(slot, resource).failcnt
    }

    pub(crate) fn bound(&self, slot: Slot, resource: Resource, barrier: u64, limit: u64) {
        let mut limits = PerResource::default();
        limits[resource] = Some(Limits { barrier, limit });
        self.set_limits(slot, &limits).expect("writable");
    }

    /// Lets `room` more through than is held now. The limit.
    pub(crate) fn room(&self, slot: Slot, resource: Resource, room: u64) -> u64 {
        let most = self.held(slot, resource) + room;
        self.bound(slot, resource, most, most);
        most
    }

    /// Waits until a row holds `held`: the kernel frees some things a little later.
    pub(crate) fn settles(&self, slot: Slot, resource: Resource, held: u64) {
        for _ in 0..1000 {
            if self.held(slot, resource) == held {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.held(slot, resource), held, "{resource} held in the end");
    }

    /// What every test ends with: nothing is left, and nothing went wrong. Of kernel
    /// memory a cgroup keeps some as long as it is there.
    pub(crate) fn clean(&self, slots: &[Slot]) {
        all_given_back(self);
        for slot in slots {
            let counts = self.counts(*slot).expect("readable");
            for (resource, count) in counts.iter().filter(|(row, _)| *row != Resource::KmemSize) {
                assert_eq!(count.held, 0, "{resource} not given back");
            }
        }
        assert_eq!(self.faults().expect("readable"), self.before, "faults");
        for slot in slots {
            self.remove(*slot).expect("removable");
        }
    }
}
