//! How much work the readers of one container may cause.

use std::time::{Duration, Instant};

/// Readers may keep half a processor busy for good ...
const SHARE: u32 = 2;

/// ... and take this much work at once before they are slowed down.
const BURST: Duration = Duration::from_millis(500);

/// An account of work done for readers, paid back by time.
///
/// Every reading is fresh; a reader inside that asks in a loop waits instead
/// of getting old numbers or the whole processor.
#[derive(Debug)]
pub(crate) struct Budget {
    debt: Duration,
    as_of: Instant,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Budget {
        Budget { debt: Duration::ZERO, as_of: now }
    }

    /// How long to wait before the next piece of work.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        self.pay_back(now);
        self.debt.saturating_sub(BURST) * SHARE
    }

    /// Notes a piece of work.
    pub(crate) fn spend(&mut self, now: Instant, work: Duration) {
        self.pay_back(now);
        self.debt += work;
    }

    fn pay_back(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of);
        self.debt = self.debt.saturating_sub(passed / SHARE);
        self.as_of = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_in_a_loop_gets_half_a_processor_and_no_more() {
        let mut now = Instant::now();
        let start = now;
        let mut budget = Budget::new(now);
        let mut worked = Duration::ZERO;
        let work = Duration::from_millis(30);
        while now - start < Duration::from_mins(1) {
            now += budget.wait(now) + work;
            budget.spend(now, work);
            worked += work;
        }
        let share = worked.as_secs_f64() / (now - start).as_secs_f64();
        assert!((0.49..0.52).contains(&share), "{share}");
    }

    #[test]
    fn an_occasional_reader_never_waits() {
        let mut now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..1000 {
            assert_eq!(budget.wait(now), Duration::ZERO);
            now += Duration::from_millis(100);
            budget.spend(now, Duration::from_millis(40));
        }
    }
}
