//! The words of one stock, and who may write which when.

use crate::sync::{Arc, AtomicU8, AtomicU64, Ordering, OwnLine, asymmetric};
use crate::{Beancounter, Resource};

/// The units in a stock may be used without asking anybody.
const OPEN: u8 = 0;
/// Somebody is looking at the counts, and holds the pool's lock.
const CLOSING: u8 = 1;
/// A drain has given back what it saw; the owner does not know yet.
const DRAINED: u8 = 2;
/// Empty, and every operation asks the counters.
const SHUT: u8 = 3;

/// One stock as the others see it.
///
/// `given` and `taken` are written by the owner of the stock alone, with plain
/// stores and without a lock; `gate` and the two `seen` under the lock of the
/// pool. The owner stores a count, then looks at `gate`; who wants to know the
/// counts stores `gate`, then looks at them, with a fence in between on both
/// sides. So a step of the owner that found the gate open is in what others
/// see, and one that did not, learns from `seen` whether it is.
#[derive(Debug)]
pub(crate) struct Shard {
    owner: Beancounter,
    resource: Resource,
    words: OwnLine<Words>,
}

/// Units are idle that were given to the stock and not taken out. Two words
/// and not their difference: a unit taken and given back changes each once, so
/// that a thread that does this all the time waits for one store of its own to
/// reach its next load, not for two in a row.
#[derive(Debug)]
struct Words {
    given: AtomicU64,
    taken: AtomicU64,
    gate: AtomicU8,
    /// The counts as the last drain saw them, and gave back.
    seen: [AtomicU64; 2],
}

/// One change of a stock by its owner: what it made of one count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Give(u64),
    Take(u64),
}

impl Shard {
    pub(super) fn new(owner: Beancounter, resource: Resource) -> Arc<Shard> {
        let word = || AtomicU64::new(0);
        let gate = AtomicU8::new(SHUT);
        let words = Words { given: word(), taken: word(), gate, seen: [word(), word()] };
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

    /// For the owner: the step that takes `n` units, at least one, if so many
    /// are idle.
    #[inline]
    pub(super) fn take(&self, n: u64) -> Option<Step> {
        let taken = self.words.taken.load(Ordering::Relaxed);
        let idle = self.words.given.load(Ordering::Relaxed).wrapping_sub(taken);
        // Not for nothing: a step that changes nothing cannot be settled, and a
        // charge of 0 is refused while there is more in use than allowed.
        (n.wrapping_sub(1) < idle).then(|| Step::Take(taken.wrapping_add(n)))
    }

    /// For the owner: the step that gives `n` units, if no more than `cap` are
    /// idle then.
    #[inline]
    pub(super) fn give(&self, n: u64, cap: u64) -> Option<Step> {
        let given = self.words.given.load(Ordering::Relaxed);
        let idle = given.wrapping_sub(self.words.taken.load(Ordering::Relaxed));
        (n <= cap.saturating_sub(idle)).then(|| Step::Give(given.wrapping_add(n)))
    }

    /// For the owner: makes a step. False: somebody looks at the counts, and
    /// the step is to be settled with the pool's lock.
    #[inline]
    pub(super) fn step(&self, step: Step, asymmetric: bool) -> bool {
        // Release: what the owner did with units it puts back comes before
        // what anybody does with them after a drain.
        match step {
            Step::Give(given) => self.words.given.store(given, Ordering::Release),
            Step::Take(taken) => self.words.taken.store(taken, Ordering::Release),
        }
        asymmetric::light(asymmetric);
        self.words.gate.load(Ordering::Relaxed) == OPEN
    }

    /// For the owner, with the pool's lock: whether the step was made before
    /// a drain looked, and so stands.
    pub(super) fn settle(&self, step: Step) -> bool {
        let seen = |word: usize| self.words.seen[word].load(Ordering::Relaxed);
        let stands = match (self.gate(), step) {
            (OPEN, _) => return true,
            (DRAINED, Step::Give(given)) => seen(0) == given,
            (DRAINED, Step::Take(taken)) => seen(1) == taken,
            _ => false,
        };
        self.shut();
        stands
    }

    /// For the owner, with the pool's lock: what is in it.
    pub(super) fn open_idle(&self) -> u64 {
        if self.is_open() { self.counts().idle() } else { 0 }
    }

    pub(super) fn is_open(&self) -> bool {
        self.gate() == OPEN
    }

    /// For the owner, with the pool's lock.
    pub(super) fn open(&self, idle: u64) {
        self.words.given.store(idle, Ordering::Relaxed);
        self.words.taken.store(0, Ordering::Relaxed);
        self.words.gate.store(OPEN, Ordering::Relaxed);
    }

    /// For the owner, with the pool's lock: returns what was in it.
    pub(super) fn shut(&self) -> u64 {
        let idle = self.open_idle();
        self.open(0);
        self.words.gate.store(SHUT, Ordering::Relaxed);
        idle
    }

    /// With the pool's lock: keeps the owner from going on. False: nothing can
    /// be in it.
    pub(super) fn close(&self) -> bool {
        let open = self.gate() == OPEN;
        if open {
            self.words.gate.store(CLOSING, Ordering::Relaxed);
        }
        open
    }

    /// With the pool's lock, after `close` and the fence: what is in it.
    pub(super) fn closed_idle(&self) -> u64 {
        if self.gate() == CLOSING { self.counts().idle() } else { 0 }
    }

    /// With the pool's lock, after `close` and the fence: what was in it. It
    /// is the caller's now.
    pub(super) fn drain(&self) -> u64 {
        if self.gate() != CLOSING {
            return 0;
        }
        let counts = self.counts();
        self.words.seen[0].store(counts.given, Ordering::Relaxed);
        self.words.seen[1].store(counts.taken, Ordering::Relaxed);
        self.words.gate.store(DRAINED, Ordering::Relaxed);
        counts.idle()
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

    fn counts(&self) -> Counts {
        // Acquire pairs with the release of `step`.
        Counts {
            given: self.words.given.load(Ordering::Acquire),
            taken: self.words.taken.load(Ordering::Acquire),
        }
    }
}

struct Counts {
    given: u64,
    taken: u64,
}

impl Counts {
    fn idle(&self) -> u64 {
        self.given.wrapping_sub(self.taken)
    }
}
