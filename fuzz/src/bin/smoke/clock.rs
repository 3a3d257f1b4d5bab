//! When it is over, by the clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::options::Options;

/// What a target gets whatever others had before, in time to be over with all of them.
const LEAST: Duration = Duration::from_secs(10);
/// It is looked at after so many executions.
const SELDOM: u64 = 256;

/// The end that was asked for, if one was.
pub(super) struct Clock<'a> {
    end: Option<Instant>,
    targets: usize,
    jobs: usize,
    /// How many have begun.
    begun: &'a AtomicUsize,
}

impl<'a> Clock<'a> {
    pub(super) fn new(options: &Options, begun: &'a AtomicUsize) -> Clock<'a> {
        let end = options.by.and_then(|by| Instant::now().checked_add(by));
        Clock { end, targets: options.targets.len(), jobs: options.jobs, begun }
    }

    /// Whether a target has to make room that began then and has had so many executions.
    pub(super) fn is_over(&self, began: Instant, executions: u64) -> bool {
        let Some(end) = self.end.filter(|_| executions.is_multiple_of(SELDOM)) else {
            return false;
        };
        let now = Instant::now();
        now >= end || (now >= began + LEAST && now + self.of_others() >= end)
    }

    /// What those need that have not begun.
    fn of_others(&self) -> Duration {
        let waiting = self.targets.saturating_sub(self.begun.load(Ordering::Relaxed));
        LEAST * u32::try_from(waiting.div_ceil(self.jobs)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::options;

    /// Of a target that has had its ten seconds.
    fn is_over(words: &str, begun: usize) -> bool {
        let options = options(words.split_whitespace().map(str::to_owned)).unwrap().unwrap();
        let long_ago = Instant::now().checked_sub(LEAST).unwrap();
        Clock::new(&options, &AtomicUsize::new(begun)).is_over(long_ago, 0)
    }

    #[test]
    fn a_late_suite_waits_for_no_target_and_leaves_each_some_time() {
        let all = ubc_fuzz::TARGETS.len();
        assert!(!is_over("--each 60", all), "nobody asked for an end");
        assert!(is_over("--each 60 --by 0", all));
        assert!(!is_over("--each 60 --by 5", all), "the last one");
        assert!(is_over("--each 60 --by 15 --jobs 2", all - 4), "two have to begin, twice");
        assert!(!is_over("--each 60 --by 25 --jobs 2", all - 4));
        let options = options(["--by", "15"].map(str::to_owned).into_iter()).unwrap().unwrap();
        let begun = AtomicUsize::new(0);
        assert!(!Clock::new(&options, &begun).is_over(Instant::now(), 0), "it has just begun");
    }
}
