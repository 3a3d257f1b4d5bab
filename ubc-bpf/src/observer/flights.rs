//! Passes that those who wait for one share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// What came out of a pass, once it has.
pub(super) type Outcome<T> = Arc<OnceLock<Result<T, String>>>;

/// One pass at a time. Whoever asks gets one that starts afterwards; all who
/// ask while one is under way share the next, which looks for all of them.
pub(super) struct Flights<W, T> {
    queue: Mutex<Queue<W, T>>,
    turn: Condvar,
}

struct Queue<W, T> {
    /// A pass is under way. Whoever comes now waits for the one after it: the
    /// one under way may have gone past what he wants to know.
    running: bool,
    /// What the next pass is to look at.
    wanted: W,
    next: Outcome<T>,
}

impl<W: Default, T> Flights<W, T> {
    pub(super) fn new() -> Self {
        let queue = Queue { running: false, wanted: W::default(), next: Arc::default() };
        Flights { queue: Mutex::new(queue), turn: Condvar::new() }
    }

    /// The outcome of a pass that starts after this call. `ask` says what it is
    /// to look at besides what others want; of those who share it one makes it,
    /// with his `pass`. The outcome is there when this returns.
    pub(super) fn share(
        &self,
        ask: impl FnOnce(&mut W),
        pass: impl FnOnce(W) -> Result<T, String>,
    ) -> Outcome<T> {
        let mut queue = self.queue();
        ask(&mut queue.wanted);
        let ours = Arc::clone(&queue.next);
        while queue.running && ours.get().is_none() {
            queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if ours.get().is_some() {
            return ours;
        }
        queue.running = true;
        queue.next = Arc::default();
        let wanted = std::mem::take(&mut queue.wanted);
        drop(queue);
        let landing = Landing { flights: self, outcome: &ours };
        let _ = ours.set(pass(wanted));
        drop(landing);
        ours
    }

    fn queue(&self) -> MutexGuard<'_, Queue<W, T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass under way. However it ends, nobody waits for it for ever.
struct Landing<'a, W: Default, T> {
    flights: &'a Flights<W, T>,
    outcome: &'a OnceLock<Result<T, String>>,
}

impl<W: Default, T> Drop for Landing<'_, W, T> {
    fn drop(&mut self) {
        let _ = self.outcome.set(Err("the pass was not finished".to_owned()));
        self.flights.queue().running = false;
        self.flights.turn.notify_all();
    }
}

#[cfg(test)]
mod tests;
