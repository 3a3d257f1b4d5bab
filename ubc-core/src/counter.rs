//! The counter of one resource at one level, without locks.

use crate::severity::{Ask, Severity};
use crate::sync::{AtomicU8, AtomicU64, Ordering, OwnLine};
use crate::threshold::Thresholds;
use crate::{Limits, LimitsError, Row, UNLIMITED};

mod source;

pub use source::Source;

/// The counter of one resource at one level: OpenVZ's `struct ubparm`.
///
/// Every method may be called from any thread at any time. A charge is one
/// compare-and-swap loop on `held`; it never adds first and looks later, so
/// `held` never exceeds, even for an instant, the threshold a charge was
/// measured against, and an attempt that fails never makes another one fail.
///
/// The numbers that every charge writes and the thresholds it only reads live
/// on separate 128-byte lines.
///
/// [`Beancounter`](crate::Beancounter) has one for each resource; alone it
/// serves an embedder that counts something OpenVZ did not.
#[derive(Debug)]
pub struct Counter {
    usage: OwnLine<Usage>,
    rules: OwnLine<Rules>,
}

/// What charges write.
#[derive(Debug)]
struct Usage {
    held: AtomicU64,
    maxheld: AtomicU64,
    minheld: AtomicU64,
    /// Here and not beside the thresholds: a storm of refusals must not take
    /// the line that every charge of every core only reads.
    failcnt: AtomicU64,
}

/// What charges only read.
#[derive(Debug)]
struct Rules {
    thresholds: Thresholds,
    source: AtomicU8,
}

/// Why a counter did not take a charge. Nothing was counted but `failcnt`,
/// and that only for [`Denied::Over`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The use would have passed a threshold (OpenVZ: `-ENOMEM`).
    #[error("held {held}, barrier {}, limit {}", limits.barrier, limits.limit)]
    Over {
        /// In use when the charge was refused.
        held: u64,
        /// The thresholds it was refused by: one pair that somebody set.
        limits: Limits,
    },
    /// More than [`UNLIMITED`] at once (OpenVZ: `-EINVAL`).
    #[error("more than the maximum {UNLIMITED} at once")]
    TooLarge,
    /// A FORCE charge would have wrapped the 64-bit counter. The kernel left
    /// this case open; here the counter never wraps.
    #[error("held {held}: the counter is full")]
    Full {
        /// In use when the charge was refused.
        held: u64,
    },
    /// The row is observed: the kernel owns its numbers.
    #[error("the row is observed, not charged")]
    Observed,
}

/// More was given back than was there; the counter stopped at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} given back where {charged} were charged")]
pub struct Shortfall {
    /// How much was to be given back.
    pub asked: u64,
    /// How much was there, and is now gone.
    pub charged: u64,
}

impl Counter {
    /// A counter at 0 without limits.
    pub fn new() -> Self {
        Self::restored(&Row::from_limits(Limits::UNLIMITED), Source::Unused)
    }

    /// A counter that stands where `row` says. The caller has validated it.
    pub(crate) fn restored(row: &Row, source: Source) -> Self {
        Counter {
            usage: OwnLine(Usage {
                held: AtomicU64::new(row.held),
                maxheld: AtomicU64::new(row.maxheld),
                minheld: AtomicU64::new(row.minheld),
                failcnt: AtomicU64::new(row.failcnt),
            }),
            rules: OwnLine(Rules {
                thresholds: Thresholds::new(row.limits()),
                source: AtomicU8::new(source as u8),
            }),
        }
    }

    /// Takes `n` units, 0 to [`UNLIMITED`].
    ///
    /// Accepted: `held` grows, `maxheld` rises and `minheld` falls to the new
    /// `held` where it passes them. Refused: `failcnt` rises by one, unless
    /// the ask is quiet, and nothing else changes.
    ///
    /// `n = 0` is no special case, as in the kernel: it is refused (and
    /// counted) while `held` is above the bound, and accepted otherwise.
    ///
    /// # Errors
    ///
    /// See [`Denied`].
    #[inline]
    pub fn charge(&self, n: u64, ask: impl Into<Ask>) -> Result<(), Denied> {
        let ask = ask.into();
        if n > UNLIMITED {
            return Err(Denied::TooLarge);
        }
        if !self.claim(Source::Charged) {
            return Err(Denied::Observed);
        }
        // Relaxed: a stale value only fails the exchange below.
        let mut held = self.usage.held.load(Ordering::Relaxed);
        loop {
            let bound = self.rules.thresholds.bound(ask.severity);
            let Some(after) = held.checked_add(n).filter(|after| *after <= bound) else {
                if let Some(denied) = self.refuse(held, n, ask) {
                    return Err(denied);
                }
                // The thresholds were raised in between: try again.
                held = self.usage.held.load(Ordering::Relaxed);
                continue;
            };
            // Acquire: a charge that fits because of an uncharge comes after
            // whatever its caller did before giving back. And a charge that
            // comes after a reset sees the reset marks; see `reset`.
            // Release: a reset that comes after this charge sees it whole.
            match self.usage.held.compare_exchange_weak(
                held,
                after,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    self.usage.mark(after);
                    return Ok(());
                }
                Err(now) => held = now,
            }
        }
    }

    /// Gives back `n` units.
    ///
    /// Never goes below 0 and never touches `maxheld`, `minheld` or `failcnt`
    /// (042stab `__uncharge_beancounter_locked`). A row that is not charged
    /// has nothing to give back, and is left alone.
    ///
    /// # Errors
    ///
    /// Less than `n` was charged. What was there is given back all the same.
    #[inline]
    pub fn uncharge(&self, n: u64) -> Result<(), Shortfall> {
        if self.source() != Source::Charged {
            return if n == 0 { Ok(()) } else { Err(Shortfall { asked: n, charged: 0 }) };
        }
        let mut held = self.usage.held.load(Ordering::Relaxed);
        // Not fetch_sub: it would wrap before anyone could look.
        // Release pairs with the Acquire of a charge that follows.
        while let Err(now) = self.usage.held.compare_exchange_weak(
            held,
            held.saturating_sub(n),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            held = now;
        }
        if held < n { Err(Shortfall { asked: n, charged: held }) } else { Ok(()) }
    }

    /// Counts a refusal that no charge on this counter made (042stab
    /// `kernel/bc/vm_pages.c`: quiet charge, reclaim, try again, give up).
    pub fn count_refusal(&self) {
        self.count_refusals(1);
    }

    pub(crate) fn count_refusals(&self, n: u64) {
        self.usage.failcnt.fetch_add(n, Ordering::Relaxed);
    }

    /// Replaces barrier and limit, at any time, also below `held`: then HARD
    /// and SOFT charges fail until the use has fallen (042stab `sys.c`).
    ///
    /// A charge that begins after this returned is measured against the new
    /// pair; one already under way, against the old or the new.
    ///
    /// # Errors
    ///
    /// A value above [`UNLIMITED`]; nothing has changed then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitsError> {
        self.rules.thresholds.set(limits.checked()?);
        Ok(())
    }

    /// Barrier and limit, as one of the pairs that were set.
    pub fn limits(&self) -> Limits {
        self.rules.thresholds.pair()
    }

    /// Starts a new period: `maxheld` and `minheld` become `held` (042stab
    /// `kernel/bc/statd.c`). A charge under way may count in either period.
    pub fn reset_maxheld(&self) {
        let usage = &self.usage;
        let held = usage.held.load(Ordering::Relaxed);
        usage.maxheld.store(held, Ordering::Relaxed);
        usage.minheld.store(held, Ordering::Relaxed);
        // A charge may have looked at the old marks and found nothing to do.
        // Adding 0 puts this reset into the one order of all changes of
        // `held`: a charge before it is in the value read here (Acquire), a
        // charge after it sees the new marks (Release). Without it `maxheld`
        // could stay below `held`.
        let held = usage.held.fetch_add(0, Ordering::AcqRel);
        usage.mark(held);
    }

    /// The numbers of this moment; `maxheld >= held` in every one.
    pub fn row(&self) -> Row {
        let Limits { barrier, limit } = self.limits();
        let held = self.usage.held.load(Ordering::Acquire);
        // A charge raises `held` first and `maxheld` an instant later.
        let maxheld = self.usage.maxheld.load(Ordering::Relaxed).max(held);
        let minheld = self.usage.minheld.load(Ordering::Relaxed);
        let failcnt = self.usage.failcnt.load(Ordering::Relaxed);
        Row { held, maxheld, minheld, barrier, limit, failcnt }
    }

    /// Units in use now.
    pub fn held(&self) -> u64 {
        self.usage.held.load(Ordering::Acquire)
    }

    /// How much a HARD charge could take now.
    pub(crate) fn free(&self) -> u64 {
        self.rules.thresholds.bound(Severity::Hard).saturating_sub(self.held())
    }

    /// Whether more is in use than HARD charges may lead to.
    pub(crate) fn is_over_barrier(&self) -> bool {
        self.held() > self.rules.thresholds.bound(Severity::Hard)
    }

    /// Who owns the numbers of this row.
    #[inline]
    pub fn source(&self) -> Source {
        Source::from_word(self.rules.source.load(Ordering::Relaxed))
    }

    /// Makes the row `source`'s unless it is somebody else's already.
    ///
    /// Relaxed: the word decides nothing but itself, and it changes once.
    #[inline]
    pub(crate) fn claim(&self, source: Source) -> bool {
        let now = self.source();
        now == source || (now == Source::Unused && self.claim_unused(source))
    }

    #[cold]
    #[inline(never)]
    fn claim_unused(&self, source: Source) -> bool {
        let unused = Source::Unused as u8;
        let word = &self.rules.source;
        match word.compare_exchange(unused, source as u8, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => Source::from_word(now) == source,
        }
    }

    /// Takes the use a meter saw. Calls are serialised by the caller, and the
    /// row is claimed as observed, so no charge runs beside this.
    pub(crate) fn record(&self, held: Option<u64>, peak: Option<u64>) {
        if let Some(held) = held {
            self.usage.held.store(held, Ordering::Release);
            self.usage.mark(held);
        }
        if let Some(peak) = peak {
            self.usage.maxheld.fetch_max(peak, Ordering::Relaxed);
        }
    }

    /// Confirms a refusal against one whole pair of thresholds, so that the
    /// numbers in it always explain it, and counts it. `None`: it would fit
    /// by now.
    #[cold]
    #[inline(never)]
    fn refuse(&self, held: u64, n: u64, ask: Ask) -> Option<Denied> {
        let limits = self.limits();
        let bound = match ask.severity {
            Severity::Hard => limits.hard(),
            Severity::Soft => limits.limit,
            Severity::Force => return Some(Denied::Full { held }),
        };
        if held.checked_add(n).is_some_and(|after| after <= bound) {
            return None;
        }
        if !ask.quiet {
            self.count_refusal();
        }
        Some(Denied::Over { held, limits })
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl Usage {
    /// Lets the marks follow `held`. Looks first: a charge that sets no
    /// record costs no second write.
    #[inline]
    fn mark(&self, held: u64) {
        if self.maxheld.load(Ordering::Relaxed) < held
            || self.minheld.load(Ordering::Relaxed) > held
        {
            self.record(held);
        }
    }

    /// Out of line, as are all branches that are rarely taken: what is left is
    /// small enough to become part of its caller.
    #[cold]
    #[inline(never)]
    fn record(&self, held: u64) {
        self.maxheld.fetch_max(held, Ordering::Relaxed);
        self.minheld.fetch_min(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
