//! A reserve in front of the counters, for one thread.

use core::cell::Cell;
use core::fmt;

use crate::sync::{Arc, MutexGuard, asymmetric};
use crate::{Ask, Beancounter, ChargeError, Resource, Severity, Source, Underflow};

mod guard;
mod pool;
mod shard;

pub use guard::StockCharge;
pub(crate) use pool::Pool;
use pool::Shards;
use shard::{Shard, Step};

/// A stock holds at most so many times what was asked for when it was filled
/// (the kernel's per-CPU stock of memory cgroups: 64 pages).
const BATCH: u64 = 64;

/// A stock smaller than so many times what is asked for is not worth filling:
/// it would be drained again at once.
const WORTH: u64 = 8;

/// Units of one resource of one beancounter, charged ahead by one thread.
///
/// Charging at three levels from two cores costs what moving cache lines
/// between them costs. A thread that charges and gives back often does both
/// from a stock instead: a few loads and stores on a line of its own. Only
/// when it is empty, or full, are the counters asked, for many units at once.
///
/// Nothing else changes for anybody:
///
/// - What is idle in a stock is not *held*: no row, snapshot, refusal or
///   removal counts it.
/// - No charge is refused for want of units that are idle in a stock, by
///   whatever handle and at whatever level: they are given back first. And no
///   charge is accepted that would not be without stocks.
/// - All stocks together hold at most half of what is free below the barrier
///   at every level, each at most its share. Near the barrier there are none.
/// - Units are alike: what was charged through a stock may be given back
///   through any handle, and the other way round.
///
/// Two numbers become inexact, as in 042stab, whose kernel kept such reserves:
/// `maxheld` may be above the highest use by what was idle in stocks (never
/// below it, never above the bound), and `minheld` likewise. And an
/// [`Underflow`] may be reported later, or by somebody else, than who caused
/// it.
///
/// A stock belongs to one thread at a time: it may be sent, not shared. When it
/// is dropped, also by the end of a thread whose local it is, it gives back
/// what is in it. It keeps its beancounter alive as any handle does.
///
/// ```
/// use std::cell::OnceCell;
/// use ubc_core::{Beancounter, ContainerId, Limits, Resource, Severity, Stock};
///
/// thread_local! {
///     static FILES: OnceCell<Stock> = const { OnceCell::new() };
/// }
///
/// let container = Beancounter::new(ContainerId::new(101)?);
/// container.set_limits(Resource::NumFile, Limits::both(1000)?)?;
///
/// let worker = std::thread::spawn({
///     let container = container.clone();
///     move || {
///         FILES.with(|files| {
///             let files = files.get_or_init(|| container.stock(Resource::NumFile));
///             files.charge_raw(3, Severity::Hard).unwrap();
///             files.uncharge(1).unwrap();
///         });
///         // What is idle in the stock is not held.
///         assert_eq!(container.row(Resource::NumFile).held, 2);
///     }
/// });
/// worker.join().unwrap();
/// // The stock went with its thread; the other two are still in use.
/// assert_eq!(container.row(Resource::NumFile).held, 2);
/// container.uncharge(Resource::NumFile, 2)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Without the feature `membarrier` each operation contains a full fence, so
/// that another thread can take the units of one that sleeps. With it, on
/// Linux, the one who takes them makes the kernel fence all threads.
pub struct Stock {
    shard: Arc<Shard>,
    /// The most it may hold; 0 while it is shut.
    cap: Cell<u64>,
    asymmetric: bool,
}

impl Beancounter {
    /// A stock of one resource in front of this beancounter, empty. A thread
    /// needs one; more of the same only make each other's share smaller.
    pub fn stock(&self, resource: Resource) -> Stock {
        let shard = Shard::new(self.clone(), resource);
        self.root().pool().enter(Arc::clone(&shard));
        Stock { shard, cap: Cell::new(0), asymmetric: asymmetric::available() }
    }
}

impl Stock {
    /// Whose units these are.
    pub fn owner(&self) -> &Beancounter {
        self.shard.owner()
    }

    /// Of which resource.
    pub fn resource(&self) -> Resource {
        self.shard.resource()
    }

    /// As [`Beancounter::charge_raw`].
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`].
    #[inline]
    pub fn charge_raw(&self, n: u64, ask: impl Into<Ask>) -> Result<(), ChargeError> {
        match self.shard.take(n) {
            Some(step) if self.shard.step(step, self.asymmetric) => Ok(()),
            Some(step) if self.settle(step) => Ok(()),
            _ => self.charge_counters(n, ask.into()),
        }
    }

    /// As [`Beancounter::uncharge`].
    ///
    /// # Errors
    ///
    /// As [`Beancounter::uncharge`], as far as it is noticed here: what the
    /// stock takes in is compared with the counters when it is filled or
    /// given back.
    #[inline]
    pub fn uncharge(&self, n: u64) -> Result<(), Underflow> {
        match self.shard.give(n, self.cap.get()) {
            Some(step) if self.shard.step(step, self.asymmetric) => Ok(()),
            Some(step) if self.settle(step) => Ok(()),
            _ => self.uncharge_counters(n),
        }
    }

    /// Somebody looked at the stock. Whether the step stands all the same.
    #[cold]
    #[inline(never)]
    fn settle(&self, step: Step) -> bool {
        let _turn = self.turn();
        let stands = self.shard.settle(step);
        if !self.shard.is_open() {
            self.cap.set(0);
        }
        stands
    }

    /// What is idle here is not enough.
    #[cold]
    #[inline(never)]
    fn charge_counters(&self, n: u64, ask: Ask) -> Result<(), ChargeError> {
        {
            let turn = self.turn();
            let idle = self.shard.open_idle();
            let cap = self.share(&turn, n);
            let want = n.saturating_sub(idle).saturating_add(cap / 2);
            // Within the barrier, whatever the caller's severity: a stock
            // never reaches into the reserve above it.
            let ahead = Severity::Hard.quiet();
            let (owner, resource) = (self.owner(), self.resource());
            if cap > 0 && owner.ask_counters(None, resource, want, ahead).is_ok() {
                self.shard.open(cap / 2);
                self.cap.set(cap);
                return Ok(());
            }
        }
        self.owner().charge_raw(self.resource(), n, ask)
    }

    /// There is no room for them here.
    #[cold]
    #[inline(never)]
    fn uncharge_counters(&self, n: u64) -> Result<(), Underflow> {
        let turn = self.turn();
        let (owner, resource) = (self.owner(), self.resource());
        let idle = self.shard.shut();
        self.cap.set(0);
        let all = idle.saturating_add(n);
        // More than is charged is for the counters to report.
        let counter = owner.counter(resource);
        let charged = counter.source() == Source::Charged && all <= counter.held();
        let cap = if charged { self.share(&turn, n) } else { 0 };
        let keep = all.min(cap / 2);
        if cap > 0 {
            self.shard.open(keep);
            self.cap.set(cap);
        }
        owner.uncharge_below(None, resource, all - keep)
    }

    /// The most this stock may hold for asks like `n`: an equal share of half
    /// of what is free at the level that has least; 0 if that is too little.
    fn share(&self, turn: &Shards, n: u64) -> u64 {
        let resource = self.resource();
        let shards = turn.count(resource).max(1).saturating_mul(2);
        let levels = core::iter::successors(Some(self.owner()), |at| at.parent());
        let free = levels.map(|level| level.counter(resource).free()).min().unwrap_or(0);
        let share = (free / shards).min(n.saturating_mul(BATCH));
        if share >= n.saturating_mul(WORTH) { share } else { 0 }
    }

    fn turn(&self) -> MutexGuard<'_, Shards> {
        self.owner().root().pool().lock()
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let mut turn = self.turn();
        let idle = self.shard.shut();
        // A shortfall is marked at its level; a destructor has nobody to tell.
        let _ = self.owner().uncharge_below(None, self.resource(), idle);
        turn.leave(&self.shard);
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stock({} of {})", self.resource(), self.owner().id())
    }
}

#[cfg(test)]
mod tests;
