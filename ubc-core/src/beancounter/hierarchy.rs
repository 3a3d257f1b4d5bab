//! Charging a beancounter and every one above it.

use core::iter;

use super::Beancounter;
use crate::sync::Ordering;
use crate::{Ask, ChargeError, Denied, Resource, TransferError, Underflow};

impl Beancounter {
    /// Takes `n` units here and at every level above: all, or none.
    ///
    /// No guard is made: whoever keeps the amount in a table of its own gives
    /// it back with [`Beancounter::uncharge`], to this same beancounter. For
    /// everything else there is [`Beancounter::charge`].
    ///
    /// Levels are asked from here upwards (042stab
    /// `kernel/bc/beancounter.c`). When one refuses, its `failcnt` rises, and
    /// the levels below give back what they took; the `maxheld` they reached
    /// for that moment stays. A quiet ask leaves `failcnt` alone.
    ///
    /// # Errors
    ///
    /// See [`ChargeError`].
    #[inline]
    pub fn charge_raw(
        &self,
        resource: Resource,
        n: u64,
        ask: impl Into<Ask>,
    ) -> Result<(), ChargeError> {
        self.charge_below(None, resource, n, ask.into())
    }

    /// Gives back `n` units here and at every level above. Never fails to do
    /// as much as there is; never touches `maxheld`, `minheld` or `failcnt`.
    ///
    /// # Errors
    ///
    /// A level had less than `n`. It is at 0 now, and so marked:
    /// [`Beancounter::underflowed`].
    #[inline]
    pub fn uncharge(&self, resource: Resource, n: u64) -> Result<(), Underflow> {
        self.uncharge_below(None, resource, n)
    }

    /// Moves `n` units that were charged raw from here to `to`.
    ///
    /// Levels above both are left alone: they are neither charged twice nor
    /// asked. The units are given back here only after `to` took them.
    ///
    /// # Errors
    ///
    /// `to` did not take them: nothing has changed but its `failcnt`. Or this
    /// beancounter had fewer than `n`: then `to` has all of them, and this
    /// one is marked [`Beancounter::underflowed`].
    pub fn transfer(
        &self,
        to: &Beancounter,
        resource: Resource,
        n: u64,
        ask: impl Into<Ask>,
    ) -> Result<(), TransferError> {
        let common = self.common(to);
        to.charge_below(common, resource, n, ask.into())?;
        self.uncharge_below(common, resource, n)?;
        Ok(())
    }

    /// This level and those above, up to but without `stop`.
    pub(super) fn levels_below<'a>(
        &'a self,
        stop: Option<&Beancounter>,
    ) -> impl Iterator<Item = &'a Beancounter> {
        iter::successors(Some(self), |level| level.parent())
            .take_while(move |level| !stop.is_some_and(|stop| stop.is(level)))
    }

    /// The lowest level that is on both ways up.
    pub(crate) fn common<'a>(&'a self, other: &'a Beancounter) -> Option<&'a Beancounter> {
        self.levels_below(None).find(|mine| other.levels_below(None).any(|level| level.is(mine)))
    }

    #[inline]
    pub(crate) fn charge_below(
        &self,
        stop: Option<&Beancounter>,
        resource: Resource,
        n: u64,
        ask: Ask,
    ) -> Result<(), ChargeError> {
        // Quiet: whether a refusal stands is decided in `refused`.
        match self.ask_counters(stop, resource, n, ask.severity.quiet()) {
            Ok(()) => {
                self.rein_in(stop, resource, ask);
                Ok(())
            }
            Err((level, denied)) => self.refused(stop, resource, n, ask, level, denied),
        }
    }

    /// Asks the counters of all levels, and no stock.
    #[inline]
    pub(crate) fn ask_counters(
        &self,
        stop: Option<&Beancounter>,
        resource: Resource,
        n: u64,
        ask: Ask,
    ) -> Result<(), (&Beancounter, Denied)> {
        for level in self.levels_below(stop) {
            if let Err(denied) = level.counter(resource).charge(n, ask) {
                self.undo(level, resource, n);
                return Err((level, denied));
            }
        }
        Ok(())
    }

    /// Gives back below `refusing` what was taken there a moment ago.
    #[cold]
    fn undo(&self, refusing: &Beancounter, resource: Resource, n: u64) {
        if !self.is(refusing) {
            // A shortfall here is someone else's: it is marked, and there is
            // nobody to tell it to.
            let _ = self.uncharge_below(Some(refusing), resource, n);
        }
    }

    #[inline]
    pub(crate) fn uncharge_below(
        &self,
        stop: Option<&Beancounter>,
        resource: Resource,
        n: u64,
    ) -> Result<(), Underflow> {
        let mut result = Ok(());
        for level in self.levels_below(stop) {
            if let Err(short) = level.counter(resource).uncharge(n) {
                level.node.control.underflow.store(true, Ordering::Relaxed);
                let charged = short.charged;
                result = result.and(Err(Underflow { resource, at: level.id(), asked: n, charged }));
            }
        }
        result
    }
}
