//! A listener's queue of refusals, with a descriptor to wait for.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use log::debug;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use ubc_core::ContainerId;

use crate::Refusal;

/// Refusals that are kept for a listener who does not come for them; of more,
/// the newest are missed.
pub(super) const MOST: usize = 1024;

/// Refusals as they happen, from the moment of subscribing.
///
/// Its descriptor is readable while there is something to take: hand it to
/// poll, epoll or an async runtime, and call [`Subscription::next`] until it
/// says `None`. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription(Arc<Queue>);

#[derive(Debug)]
pub(super) struct Queue {
    /// None: those of all containers.
    id: Option<ContainerId>,
    /// Counts 1 while there is something, 0 otherwise.
    ready: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    refusals: VecDeque<Refusal>,
    missed: u64,
}

impl Subscription {
    pub(super) fn new(id: Option<ContainerId>) -> io::Result<(Subscription, Weak<Queue>)> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let queue = Arc::new(Queue { id, ready, waiting: Mutex::default() });
        let weak = Arc::downgrade(&queue);
        Ok((Subscription(queue), weak))
    }

    /// The next refusal, or `None` when there is none now. Never waits.
    pub fn next(&self) -> Option<Refusal> {
        let mut waiting = self.0.waiting.lock();
        let refusal = waiting.refusals.pop_front();
        if refusal.is_some() && waiting.refusals.is_empty() {
            let taken = rustix::io::read(&self.0.ready, &mut [0; 8]);
            if let Err(error) = taken {
                debug!("eventfd: {error}");
            }
        }
        refusal
    }

    /// Refusals so far that were not kept, because more than 1024 waited here or, with
    /// [`Node::subscribe_since_start`](crate::Node::subscribe_since_start), were told before;
    /// of the latter, those of all containers.
    /// Those that the kernel's queue did not hold are in [`Refusal::dropped`].
    pub fn missed(&self) -> u64 {
        self.0.waiting.lock().missed
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.ready.as_fd()
    }
}

impl Queue {
    /// Fills it with what was told before it was there, of which so many are forgotten.
    pub(super) fn begin(&self, told: &VecDeque<Refusal>, forgotten: u64) {
        self.waiting.lock().missed = forgotten;
        for refusal in told {
            self.put(refusal);
        }
    }

    pub(super) fn put(&self, refusal: &Refusal) {
        if self.id.is_some_and(|id| id != refusal.id) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.refusals.len() == MOST {
            waiting.missed += 1;
            return;
        }
        waiting.refusals.push_back(refusal.clone());
        if waiting.refusals.len() == 1
            && let Err(error) = rustix::io::write(&self.ready, &1_u64.to_ne_bytes())
        {
            debug!("eventfd: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use ubc_core::Resource;

    use super::*;

    fn refusal(id: u32, pid: u32) -> Refusal {
        Refusal {
            time: 0.0,
            id: ContainerId::new(id).unwrap(),
            resource: Resource::NumFile,
            asked: 1,
            held: 2,
            barrier: 2,
            limit: 2,
            pid,
            comm: "sh".to_owned(),
            dropped: 0,
        }
    }

    fn is_ready(subscription: &Subscription) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(subscription, PollFlags::IN)], Some(&now)).unwrap() > 0
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_something_waits() {
        let (subscription, queue) = Subscription::new(None).unwrap();
        let queue = queue.upgrade().unwrap();
        assert!(!is_ready(&subscription) && subscription.next().is_none());
        for round in 0..3 {
            queue.put(&refusal(1, round));
            queue.put(&refusal(2, round));
            assert!(is_ready(&subscription));
            assert_eq!(subscription.next(), Some(refusal(1, round)));
            assert!(is_ready(&subscription));
            assert_eq!(subscription.next(), Some(refusal(2, round)));
            assert!(!is_ready(&subscription) && subscription.next().is_none());
        }
    }

    #[test]
    fn who_comes_later_hears_what_was_told_and_how_much_nobody_knows_any_more() {
        let (subscription, queue) = Subscription::new(ContainerId::new(1).ok()).unwrap();
        let queue = queue.upgrade().unwrap();
        queue.begin(&[refusal(1, 7), refusal(2, 8), refusal(1, 9)].into(), 3);
        queue.put(&refusal(1, 10));
        assert!(is_ready(&subscription));
        let taken: Vec<u32> = std::iter::from_fn(|| subscription.next()).map(|r| r.pid).collect();
        assert_eq!((taken, subscription.missed()), (vec![7, 9, 10], 3));
    }

    #[test]
    fn a_listener_who_never_comes_costs_bounded_memory_and_learns_what_it_missed() {
        let (subscription, queue) = Subscription::new(ContainerId::new(1).ok()).unwrap();
        let queue = queue.upgrade().unwrap();
        for pid in 0..5000 {
            queue.put(&refusal(1, pid));
            queue.put(&refusal(2, pid));
        }
        assert_eq!(subscription.missed(), 5000 - 1024);
        let taken: Vec<u32> = std::iter::from_fn(|| subscription.next()).map(|r| r.pid).collect();
        assert_eq!(taken, (0..1024).collect::<Vec<_>>());
        assert!(!is_ready(&subscription));
    }
}
