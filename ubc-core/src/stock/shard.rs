//! The words of one stock, and who may write which when.

use crate::sync::{Arc, AtomicU8, AtomicU64, Ordering, OwnLine, asymmetric};
use crate::{Beancounter, Resource};

/// The units in a stock may be used without asking anybody.
const OPEN: u8 = 0;
/// A drain is about to look at them; seen only by who holds the pool.
const CLOSING: u8 = 1;
/// A drain has taken what it saw; the stock does not know yet.
const TAKEN: u8 = 2;
/// Empty, and every operation asks the counters.
const SHUT: u8 = 3;

/// One stock as the others see it.
///
/// `idle` is written by the owner of the stock alone, with plain stores and
/// without a lock. `gate` and `seen` are written under the lock of the pool.
/// The owner stores `idle`, then looks at `gate`; a drain stores `gate`, then
/// looks at `idle`, with a fence in between on both sides. So an operation of
/// the owner that found the gate open is in what a drain sees, and one that
/// did not, learns from `seen` whether it is.
#[derive(Debug)]
pub(crate) struct Shard {
    owner: Beancounter,
    resource: Resource,
    words: OwnLine<Words>,
}

#[derive(Debug)]
struct Words {
    /// Charged at every level from the owner up, and used by nobody. Only
    /// meaningful while the gate is open.
    idle: AtomicU64,
    gate: AtomicU8,
    /// What the last drain saw in `idle`, and gave back.
    seen: AtomicU64,
}

impl Shard {
    pub(super) fn new(owner: Beancounter, resource: Resource) -> Arc<Shard> {
        let words =
            Words { idle: AtomicU64::new(0), gate: AtomicU8::new(SHUT), seen: AtomicU64::new(0) };
        Arc::new(Shard { owner, resource, words: OwnLine(words) })
    }

    pub(super) fn owner(&self) -> &Beancounter {
        &self.owner
    }

    pub(super) fn resource(&self) -> Resource {
        self.resource
    }

    /// Whether its units are charged to `level`, which is this owner or one
    /// above it.
    pub(super) fn is_below(&self, level: &Beancounter) -> bool {
        core::iter::successors(Some(&self.owner), |at| at.parent()).any(|at| at.is(level))
    }

    /// For the owner: what it stored last.
    #[inline]
    pub(super) fn idle(&self) -> u64 {
        self.words.idle.load(Ordering::Relaxed)
    }

    /// For the owner: takes the step from `idle` to `after`. False: a drain
    /// was there first, and the step is to be settled with the pool's lock.
    #[inline]
    pub(super) fn step(&self, after: u64, asymmetric: bool) -> bool {
        // Release: what the owner did with units it puts back comes before
        // what anybody does with them after a drain.
        self.words.idle.store(after, Ordering::Release);
        asymmetric::light(asymmetric);
        self.words.gate.load(Ordering::Relaxed) == OPEN
    }

    /// For the owner, with the pool's lock: whether the step to `after` was
    /// taken before the drain looked, and so stands.
    pub(super) fn settle(&self, after: u64) -> bool {
        match self.gate() {
            OPEN => true,
            TAKEN => {
                let stands = self.words.seen.load(Ordering::Relaxed) == after;
                self.shut();
                stands
            }
            _ => {
                self.shut();
                false
            }
        }
    }

    /// With the pool's lock: the units in it.
    pub(super) fn open_idle(&self) -> u64 {
        if self.gate() == OPEN { self.words.idle.load(Ordering::Acquire) } else { 0 }
    }

    /// For the owner, with the pool's lock.
    pub(super) fn open(&self, idle: u64) {
        self.words.idle.store(idle, Ordering::Relaxed);
        self.words.gate.store(OPEN, Ordering::Relaxed);
    }

    /// For the owner, with the pool's lock: returns what was in it.
    pub(super) fn shut(&self) -> u64 {
        let idle = self.open_idle();
        self.words.idle.store(0, Ordering::Relaxed);
        self.words.gate.store(SHUT, Ordering::Relaxed);
        idle
    }

    /// With the pool's lock: the first half of a drain. False: nothing to do.
    pub(super) fn close(&self) -> bool {
        let open = self.gate() == OPEN;
        if open {
            self.words.gate.store(CLOSING, Ordering::Relaxed);
        }
        open
    }

    /// With the pool's lock, after `close` and the fence: what was in it. It
    /// is the caller's now.
    pub(super) fn take(&self) -> u64 {
        if self.gate() != CLOSING {
            return 0;
        }
        let seen = self.words.idle.load(Ordering::Acquire);
        self.words.seen.store(seen, Ordering::Relaxed);
        self.words.gate.store(TAKEN, Ordering::Relaxed);
        seen
    }

    /// With the pool's lock: takes `close` back.
    pub(super) fn reopen(&self) {
        if self.gate() == CLOSING {
            self.words.gate.store(OPEN, Ordering::Relaxed);
        }
    }

    fn gate(&self) -> u8 {
        self.words.gate.load(Ordering::Relaxed)
    }
}
