//! All stocks of one hierarchy, and what is done to them together.

use alloc::vec::Vec;

use super::shard::Shard;
use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, asymmetric};
use crate::{Beancounter, Resource};

/// The stocks of a top-level beancounter and all below it.
///
/// Units move between a stock and the counters only under its lock, so who
/// holds it finds each unit in one place. Charges that are accepted, and
/// operations a stock answers by itself, never take it.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Whether there ever was a stock. Set before the first unit moves and
    /// never cleared: who does not see it has read counters without stocks.
    used: AtomicBool,
    shards: Mutex<Shards>,
}

/// What the lock protects.
#[derive(Debug, Default)]
pub(crate) struct Shards(Vec<Arc<Shard>>);

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool { used: AtomicBool::new(false), shards: Mutex::new(Shards::default()) }
    }

    /// The pool, if there ever was a stock in it. To be asked after the
    /// counters were read.
    #[inline]
    pub(crate) fn if_used(&self) -> Option<&Pool> {
        self.used.load(Ordering::Relaxed).then_some(self)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock()
    }

    pub(super) fn enter(&self, shard: Arc<Shard>) {
        // Its first units follow under the lock, and whoever reads them in a
        // counter acquires that charge: Relaxed is enough here.
        self.used.store(true, Ordering::Relaxed);
        self.lock().0.push(shard);
    }
}

impl Shards {
    /// How many stocks of a resource there are.
    pub(super) fn count(&self, resource: Resource) -> u64 {
        let count = self.0.iter().filter(|shard| shard.resource() == resource).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    pub(super) fn leave(&mut self, leaving: &Arc<Shard>) {
        self.0.retain(|shard| !Arc::ptr_eq(shard, leaving));
    }

    /// Tells the idle units among those charged to `level` to `look`, while
    /// none of them moves.
    pub(crate) fn with_idle<T>(
        &self,
        level: &Beancounter,
        resource: Resource,
        look: impl FnOnce(u64) -> T,
    ) -> T {
        // Where the fence fails, what other threads did an instant ago may be
        // missing: a reading is as old as that then.
        let _ = self.close(level, resource);
        let seen = look(self.of(level, resource).map(|shard| shard.closed_idle()).sum());
        self.of(level, resource).for_each(|shard| shard.reopen());
        seen
    }

    /// Gives back all idle units among those charged to `level`. No stock has
    /// any before somebody else gets the lock.
    pub(crate) fn drain(&self, level: &Beancounter, resource: Resource) {
        if !self.close(level, resource) {
            // What other threads did is not known. To leave their stocks to
            // them may refuse too much, to take them could grant too much.
            self.of(level, resource).for_each(|shard| shard.reopen());
            return;
        }
        for shard in self.of(level, resource) {
            // A shortfall is marked at its level; there is nobody to tell.
            let _ = shard.owner().uncharge_below(None, resource, shard.drain());
        }
    }

    /// Closes the stocks charged to `level`. False: what their owners did last
    /// is not known.
    fn close(&self, level: &Beancounter, resource: Resource) -> bool {
        let mut any = false;
        for shard in self.of(level, resource) {
            any |= shard.close();
        }
        !any || asymmetric::heavy()
    }

    fn of<'a>(
        &'a self,
        level: &'a Beancounter,
        resource: Resource,
    ) -> impl Iterator<Item = &'a Arc<Shard>> {
        let of = self.0.iter();
        of.filter(move |shard| shard.resource() == resource && shard.is_below(level))
    }
}
