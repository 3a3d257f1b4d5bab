//! What a first version would be: all rows behind one lock.

use parking_lot::Mutex;

/// The rows of one container behind a `parking_lot` mutex, with the same
/// decisions as the engine's: bound, marks, refusals, no wrap.
#[derive(Debug)]
pub struct Locked<const ROWS: usize>(Mutex<[Row; ROWS]>);

#[derive(Clone, Copy, Debug)]
struct Row {
    held: u64,
    maxheld: u64,
    minheld: u64,
    barrier: u64,
    limit: u64,
    failcnt: u64,
}

impl<const ROWS: usize> Locked<ROWS> {
    /// Rows at 0 with this barrier and limit.
    pub fn new(bound: u64) -> Self {
        let row = Row { held: 0, maxheld: 0, minheld: 0, barrier: bound, limit: bound, failcnt: 0 };
        Locked(Mutex::new([row; ROWS]))
    }

    /// Takes `n` units of a row; false when it would pass the barrier.
    #[inline]
    pub fn charge(&self, row: usize, n: u64) -> bool {
        let row = &mut self.0.lock()[row];
        let held = row.held.checked_add(n);
        if let Some(held) = held.filter(|held| *held <= row.barrier && *held <= row.limit) {
            row.held = held;
            row.maxheld = row.maxheld.max(held);
            row.minheld = row.minheld.min(held);
            true
        } else {
            row.failcnt += 1;
            false
        }
    }

    /// Gives `n` units of a row back; false when there were fewer.
    #[inline]
    pub fn uncharge(&self, row: usize, n: u64) -> bool {
        let row = &mut self.0.lock()[row];
        let enough = row.held >= n;
        row.held = row.held.saturating_sub(n);
        enough
    }
}
