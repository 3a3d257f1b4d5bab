//! A container's account with the kernel's programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ubc_bpf::Slot;
use ubc_core::{ContainerId, Limits, PerResource, Resource};

use super::observed::Observed;
use super::{Programs, meter};
use crate::{Cgroup, Meter, Result};

/// A container as the kernel's programs know it: everything that tasks in its
/// cgroup and below do is charged to it. Dropping it changes nothing, so that
/// a container outlives whoever manages it.
#[derive(Debug)]
pub struct Account {
    programs: Arc<Programs>,
    slot: Slot,
    closed: AtomicBool,
}

impl Account {
    /// Opens an account for a container that holds nothing yet, or goes on
    /// with the one it has.
    ///
    /// # Errors
    ///
    /// The kernel's tables are full.
    pub fn open(programs: &Arc<Programs>, id: ContainerId, cgroup: &Cgroup) -> Result<Account> {
        let account = Self::place(programs, id, cgroup)?;
        programs.enforcer.holds_nothing(account.slot)?;
        Ok(account)
    }

    fn place(programs: &Arc<Programs>, id: ContainerId, cgroup: &Cgroup) -> Result<Account> {
        let slot = programs.enforcer.add(cgroup.as_dir(), u64::from(id.get()), None)?;
        let closed = AtomicBool::new(false);
        Ok(Account { programs: Arc::clone(programs), slot, closed })
    }

    /// As [`Account::open`] for a container that runs: what it holds already
    /// is found and charged, unless it has an account.
    ///
    /// # Errors
    ///
    /// As [`Account::open`], or the kernel's objects cannot be passed over;
    /// there is no account then.
    pub fn take_over(
        programs: &Arc<Programs>,
        id: ContainerId,
        cgroup: &Cgroup,
    ) -> Result<Account> {
        let account = Self::place(programs, id, cgroup)?;
        if let Err(error) = programs.enforcer.catch_up(account.slot) {
            account.close()?;
            return Err(error.into());
        }
        Ok(account)
    }

    /// The program that refuses this row of the container, if one does.
    pub fn mechanism(&self, resource: Resource) -> Option<&'static str> {
        let is_counted = self.programs.enforcer.is_counted(self.slot, resource);
        self.programs.mechanism(resource).filter(|_| is_counted.unwrap_or(false))
    }

    /// The programs' limits in force.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn limits(&self) -> Result<PerResource<Limits>> {
        let limits = self.programs.enforcer.limits(self.slot)?;
        Ok(limits.unwrap_or_else(|| PerResource::from_fn(|_| Limits::UNLIMITED)))
    }

    /// How often the programs refused this row of the container so far; none where
    /// no program refuses it. One lookup in the kernel, and no reading.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn failcnt(&self, resource: Resource) -> Result<Option<u64>> {
        if self.mechanism(resource).is_none() {
            return Ok(None);
        }
        Ok(Some(self.programs.enforcer.counts(self.slot)?[resource].failcnt))
    }

    /// Sets limits of the rows that programs refuse, and leaves others alone.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written; nothing has changed.
    pub fn set(&self, limits: &PerResource<Option<Limits>>) -> Result<()> {
        let ours = PerResource::from_fn(|resource| {
            limits[resource].filter(|_| self.mechanism(resource).is_some())
        });
        Ok(self.programs.enforcer.set_limits(self.slot, &ours)?)
    }

    /// Meters for what the programs count as it happens and, for the rows they
    /// do not, for what a pass over the container's tasks finds.
    pub fn meters(self: &Arc<Self>) -> [Box<dyn Meter>; 2] {
        // The last one added is asked first.
        [Box::new(Observed::new(Arc::clone(self))), Box::new(meter::Counted(Arc::clone(self)))]
    }

    /// Ends the account. What still lives is charged to nobody from now on.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written.
    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.forget();
        Ok(self.programs.enforcer.remove(self.slot)?)
    }

    /// Nobody has meters for it any more.
    pub(super) fn unmetered(&self) {
        // Once it is closed the slot may be another's.
        if !self.closed.load(Ordering::Acquire) {
            self.forget();
        }
    }

    fn forget(&self) {
        if let Some(observer) = self.programs.observer() {
            observer.forget(self.slot);
        }
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }
}
