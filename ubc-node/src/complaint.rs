//! What goes wrong as often as somebody likes is not said as often.

use std::time::{Duration, Instant};

/// Between two complaints about the same thing, at least.
const PAUSE: Duration = Duration::from_mins(1);

/// When there was last a complaint, and how many were kept back since.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    untold: u64,
}

impl Complaint {
    /// Whether to complain now, and how many times it was not done before.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            self.untold += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_makes_readings_fail_cannot_fill_the_log() {
        let mut complaint = Complaint::default();
        let start = Instant::now();
        assert_eq!(complaint.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(complaint.due(start + PAUSE / 2), None);
        }
        assert_eq!(complaint.due(start + PAUSE), Some(1000));
        assert_eq!(complaint.due(start + PAUSE * 2), Some(0));
    }
}
