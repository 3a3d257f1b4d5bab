//! A charge as a value: given back when it is dropped.

use core::borrow::Borrow;
use core::fmt;

use crate::{Ask, Beancounter, ChargeError, Resource};

/// Units of one resource, held until this is dropped.
///
/// They go back to the beancounter they were taken from, whoever drops the
/// guard (OpenVZ: frees go to the recorded owner, never to the caller's).
///
/// `O` is how the guard knows its owner: a [`Beancounter`] of its own, so it
/// can be kept anywhere, or a borrowed one, which saves the reference count.
#[must_use = "a charge that is dropped is given back at once"]
pub struct Charge<O: Borrow<Beancounter> = Beancounter> {
    owner: O,
    resource: Resource,
    amount: u64,
}

impl Beancounter {
    /// Takes `n` units here and at every level above, and returns the guard
    /// that gives them back.
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`].
    pub fn charge(
        &self,
        resource: Resource,
        n: u64,
        ask: impl Into<Ask>,
    ) -> Result<Charge, ChargeError> {
        self.charge_raw(resource, n, ask)?;
        Ok(Charge::adopt(self.clone(), resource, n))
    }

    /// As [`Beancounter::charge`], for a guard that does not outlive this
    /// handle: it touches no reference count.
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`].
    pub fn charge_scoped(
        &self,
        resource: Resource,
        n: u64,
        ask: impl Into<Ask>,
    ) -> Result<Charge<&Beancounter>, ChargeError> {
        self.charge_raw(resource, n, ask)?;
        Ok(Charge::adopt(self, resource, n))
    }
}

impl<O: Borrow<Beancounter>> Charge<O> {
    /// A guard for units that were charged raw, or taken out of a guard with
    /// [`Charge::forget`]. Nothing is charged; a guard for units that were
    /// not ends in an [`Underflow`](crate::Underflow) mark.
    pub fn adopt(owner: O, resource: Resource, amount: u64) -> Self {
        Charge { owner, resource, amount }
    }

    /// Leaves the units charged and hands the amount over: from now on the
    /// caller's table answers for it.
    #[must_use = "somebody has to remember what to give back"]
    pub fn forget(mut self) -> u64 {
        core::mem::take(&mut self.amount)
    }

    /// Who gets the units back.
    pub fn owner(&self) -> &Beancounter {
        self.owner.borrow()
    }

    /// What is held.
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// How many units are held.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes `n` more units into the same guard.
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`]; the guard keeps what it had.
    pub fn grow(&mut self, n: u64, ask: impl Into<Ask>) -> Result<(), ChargeError> {
        self.owner().charge_raw(self.resource, n, ask)?;
        // Every unit in a guard is in a 64-bit counter.
        self.amount = self.amount.saturating_add(n);
        Ok(())
    }

    /// Takes `n` units out into a guard of their own; `None`, and nothing
    /// changes, if there are fewer.
    pub fn split(&mut self, n: u64) -> Option<Self>
    where
        O: Clone,
    {
        self.amount = self.amount.checked_sub(n)?;
        Some(Charge::adopt(self.owner.clone(), self.resource, n))
    }

    /// Takes the units of another guard over.
    ///
    /// # Errors
    ///
    /// The other guard, unchanged, if it is of another owner or resource.
    pub fn merge(&mut self, other: Self) -> Result<(), Self> {
        if self.resource != other.resource || !self.owner().is(other.owner()) {
            return Err(other);
        }
        self.amount = self.amount.saturating_add(other.forget());
        Ok(())
    }

    /// Moves the units to another beancounter: all, or none.
    ///
    /// Levels above both owners are left alone. The old owner gets its units
    /// back only after the new one took them.
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`]; the guard stays with its old owner.
    pub fn transfer(&mut self, to: O, ask: impl Into<Ask>) -> Result<(), ChargeError> {
        let from = self.owner.borrow();
        let common = from.common(to.borrow());
        to.borrow().charge_below(common, self.resource, self.amount, ask.into())?;
        // A shortfall is marked at its level, as when a guard is dropped.
        let _ = from.uncharge_below(common, self.resource, self.amount);
        self.owner = to;
        Ok(())
    }
}

impl<O: Borrow<Beancounter>> Drop for Charge<O> {
    fn drop(&mut self) {
        if self.amount > 0 {
            // Only units given back behind the guard's back can be missing;
            // `uncharge` marks that, and a destructor has nobody to tell.
            let _ = self.owner.borrow().uncharge(self.resource, self.amount);
        }
    }
}

impl<O: Borrow<Beancounter>> fmt::Debug for Charge<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({} {} of {})", self.amount, self.resource, self.owner().id())
    }
}

#[cfg(test)]
mod tests;
