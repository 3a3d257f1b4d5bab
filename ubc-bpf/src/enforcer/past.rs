//! What containers held before anybody counted it.

use super::{Enforcer, Slot};
use crate::layout::Container;
use crate::mechanism::Mechanism;
use crate::{Result, seeds};

impl Enforcer {
    /// Records what a container's tasks hold that no program saw them get. What
    /// somebody pays for already stays his: nothing is counted twice.
    ///
    /// # Errors
    ///
    /// A pass over the kernel's objects fails, or the kernel's tables cannot be
    /// written.
    pub fn seed(&self, slot: Slot) -> Result<()> {
        self.record(slot, &self.on_duty_beside(0))
    }

    /// As [`Enforcer::seed`], but only of rows that were not counted for it since
    /// it has its place or was looked at. A container that is found again, by
    /// another process, stays as it is: what it has by now from somebody outside
    /// is not its own.
    ///
    /// # Errors
    ///
    /// As [`Enforcer::seed`].
    pub fn catch_up(&self, slot: Slot) -> Result<()> {
        let recorded = self.maps.container(slot.0)?.map_or(u64::MAX, |c| c.recorded);
        let missing = self.on_duty_beside(recorded);
        if missing.is_empty() { Ok(()) } else { self.record(slot, &missing) }
    }

    /// Says that a container holds nothing yet: what comes is seen.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written.
    pub fn holds_nothing(&self, slot: Slot) -> Result<()> {
        self.change(slot, |container| Container { recorded: self.counted(), ..container })
    }

    fn record(&self, slot: Slot, mechanisms: &[&'static Mechanism]) -> Result<()> {
        self.change(slot, |container| Container { arriving: true, ..container })?;
        let outcome = seeds::run(&self.place, &self.generation, mechanisms);
        let rows = mechanisms.iter().fold(0, |rows, mechanism| rows | mechanism.rows());
        let over = self.change(slot, |container| {
            let recorded = container.recorded | if outcome.is_ok() { rows } else { 0 };
            Container { arriving: false, recorded, ..container }
        });
        over.and(outcome)
    }

    /// Nobody counts these rows any more. With the tables locked.
    pub(super) fn forget_recorded(&self, rows: u64) -> Result<()> {
        for (slot, container) in self.maps.containers()? {
            let recorded = container.recorded & !rows;
            self.maps.set_container(slot, &Container { recorded, ..container })?;
        }
        Ok(())
    }

    /// The rows that mechanisms on duty count, by slot number.
    fn counted(&self) -> u64 {
        self.on_duty_beside(0).iter().fold(0, |rows, mechanism| rows | mechanism.rows())
    }

    fn change(&self, slot: Slot, change: impl FnOnce(Container) -> Container) -> Result<()> {
        let _tables = self.tables()?;
        match self.maps.container(slot.0)? {
            Some(container) => self.maps.set_container(slot.0, &change(container)),
            None => Ok(()),
        }
    }
}
