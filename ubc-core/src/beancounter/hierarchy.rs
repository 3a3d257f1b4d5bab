//! Charging a beancounter and every one above it.

use core::iter;

use super::{Beancounter, Node};
use crate::sync::Ordering;
use crate::{Ask, ChargeError, Denied, Resource, Severity, Shortfall, TransferError, Underflow};

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

    // Left to itself the compiler calls this or not as its other users fall, and
    // a call costs as much as the locked instruction in it.
    #[expect(clippy::inline_always, reason = "measured: 6 ns instead of 10")]
    #[inline(always)]
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
                if ask.severity != Severity::Hard {
                    self.rein_in(stop, resource);
                }
                Ok(())
            }
            Err((level, denied)) => self.refused(stop, resource, n, ask, level, denied),
        }
    }

    /// Asks the counters of all levels, and no stock.
    #[expect(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    pub(crate) fn ask_counters(
        &self,
        stop: Option<&Beancounter>,
        resource: Resource,
        n: u64,
        ask: Ask,
    ) -> Result<(), (&Beancounter, Denied)> {
        if stop.is_some_and(|stop| stop.is(self)) {
            return Ok(());
        }
        // Walks the nodes themselves: a handle that has to be read again after
        // each locked instruction costs as much as half of one.
        let (mut level, mut node) = (self, &*self.node);
        loop {
            if let Err(denied) = node.counters[resource].charge(n, ask) {
                self.undo(level, resource, n);
                return Err((level, denied));
            }
            match &node.parent {
                Some(parent) if !stop.is_some_and(|stop| stop.is(parent)) => {
                    (level, node) = (parent, &*parent.node);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Gives back below `refusing` what was taken there a moment ago.
    #[cold]
    #[inline(never)]
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
        if stop.is_some_and(|stop| stop.is(self)) {
            return Ok(());
        }
        let mut result = Ok(());
        let mut node = &*self.node;
        loop {
            if let Err(short) = node.counters[resource].uncharge(n) {
                let underflow = node.fell_short(resource, short);
                result = result.and(Err(underflow));
            }
            match &node.parent {
                Some(parent) if !stop.is_some_and(|stop| stop.is(parent)) => node = &*parent.node,
                _ => return result,
            }
        }
    }
}

impl Node {
    /// Marks that more was given back than was there.
    #[cold]
    #[inline(never)]
    fn fell_short(&self, resource: Resource, Shortfall { asked, charged }: Shortfall) -> Underflow {
        self.control.underflow.store(true, Ordering::Relaxed);
        Underflow { resource, at: self.id, asked, charged }
    }
}
