//! Barrier and limit as words that can be read without a lock.

use crate::Limits;
use crate::severity::Severity;
use crate::sync::{AtomicU64, Ordering, relax};

/// The thresholds of one counter.
///
/// A charge decides by *one* load: `hard`, kept as `min(barrier, limit)`, for
/// [`Severity::Hard`], and `limit` for [`Severity::Soft`]. So no charge can
/// ever act on the barrier of one pair and the limit of another. Whoever
/// needs the pair itself (a reading, a refusal that explains itself) takes
/// [`Thresholds::pair`], a sequence lock over the same words.
#[derive(Debug)]
pub(crate) struct Thresholds {
    /// `min(barrier, limit)`: where HARD stops.
    hard: AtomicU64,
    /// Where SOFT stops.
    limit: AtomicU64,
    /// For [`Thresholds::pair`] only.
    barrier: AtomicU64,
    /// Even: the words are one pair. Odd: a setter is at work, and owns them.
    version: AtomicU64,
}

impl Thresholds {
    pub(crate) fn new(limits: Limits) -> Self {
        Thresholds {
            hard: AtomicU64::new(limits.hard()),
            limit: AtomicU64::new(limits.limit),
            barrier: AtomicU64::new(limits.barrier),
            version: AtomicU64::new(0),
        }
    }

    /// The highest use a charge of this severity may lead to.
    ///
    /// Relaxed: the value is the whole message. A setter that happened before
    /// this call is seen by coherence alone, one that runs beside it may or
    /// may not be, under any ordering.
    #[inline]
    pub(crate) fn bound(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Hard => self.hard.load(Ordering::Relaxed),
            Severity::Soft => self.limit.load(Ordering::Relaxed),
            Severity::Force => u64::MAX,
        }
    }

    /// Replaces both thresholds. Setters wait for each other.
    pub(crate) fn set(&self, limits: Limits) {
        let even = self.lock();
        // Release, each of them: a reader that sees one of these words must
        // also see the odd version stored before it, and so discard the pair.
        self.barrier.store(limits.barrier, Ordering::Release);
        self.limit.store(limits.limit, Ordering::Release);
        self.hard.store(limits.hard(), Ordering::Release);
        // Release: a reader that sees the new even version sees all words.
        self.version.store(even + 2, Ordering::Release);
    }

    /// One pair that somebody set, never half of each of two.
    pub(crate) fn pair(&self) -> Limits {
        loop {
            // Acquire pairs with the last store of `set`.
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                // Acquire pairs with the word stores of `set`, and keeps the
                // second look at the version below them.
                let limits = Limits {
                    barrier: self.barrier.load(Ordering::Acquire),
                    limit: self.limit.load(Ordering::Acquire),
                };
                if self.version.load(Ordering::Relaxed) == before {
                    return limits;
                }
            }
            relax();
        }
    }

    /// Makes the version odd and returns the even value it had.
    fn lock(&self) -> u64 {
        loop {
            let version = self.version.load(Ordering::Relaxed);
            // Acquire: the stores of this setter come after those of the one
            // before it.
            if version.is_multiple_of(2)
                && self
                    .version
                    .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return version;
            }
            relax();
        }
    }
}

#[cfg(test)]
mod tests;
