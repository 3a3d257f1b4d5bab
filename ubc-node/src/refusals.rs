//! Refusals by the kernel's programs: logged, and told to whoever subscribes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use log::warn;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};
use ubc_cgroup::Programs;
use ubc_cgroup::ubc_bpf::{Event, Events};
use ubc_core::ContainerId;

use crate::Refusal;
use crate::bell::{Bell, Rung};
use crate::node::Roster;
use subscription::Queue;

mod entry;
mod subscription;

pub use subscription::Subscription;

/// How many of the newest are kept for those who ask for them later; as many as a
/// listener's queue holds.
const KEPT: usize = subscription::MOST;

/// Who listens. One that does not read misses what its queue does not hold; it
/// keeps nobody waiting.
pub(crate) struct Refusals {
    audience: Mutex<Audience>,
    /// Who knows what a container's failcnt is.
    roster: Arc<Roster>,
    /// Closed with the last holder: that wakes the thread up, to end.
    _bell: Bell,
}

#[derive(Default)]
struct Audience {
    queues: Vec<Weak<Queue>>,
    /// The newest since the start.
    told: VecDeque<Refusal>,
    /// How many there were before them.
    forgotten: u64,
}

impl Refusals {
    /// Reads the kernel's queue on a thread of its own, as long as somebody
    /// holds the result. The thread sleeps while nothing is refused.
    pub(crate) fn start(
        programs: &Arc<Programs>,
        roster: &Arc<Roster>,
    ) -> io::Result<(Arc<Refusals>, JoinHandle<()>)> {
        let (bell, rung) = Bell::new()?;
        let roster = Arc::clone(roster);
        let refusals = Arc::new(Refusals { audience: Mutex::default(), roster, _bell: bell });
        let weak = Arc::downgrade(&refusals);
        let programs = Arc::clone(programs);
        let thread = std::thread::Builder::new().name("ubc-refusals".to_owned());
        let thread = thread.spawn(move || {
            if let Err(error) = serve(&programs, &weak, &rung) {
                warn!("refusals are not told any more: {error}");
            }
        })?;
        Ok((refusals, thread))
    }

    /// Where the refusals from now on arrive: those of one container, or of all.
    pub(crate) fn subscribe(&self, id: Option<ContainerId>) -> io::Result<Subscription> {
        let (subscription, queue) = Subscription::new(id)?;
        self.audience.lock().queues.push(queue);
        Ok(subscription)
    }

    /// As `subscribe`, with those since the start before the others.
    pub(crate) fn subscribe_since_start(
        &self,
        id: Option<ContainerId>,
    ) -> io::Result<Subscription> {
        let (subscription, queue) = Subscription::new(id)?;
        let mut audience = self.audience.lock();
        if let Some(queue) = queue.upgrade() {
            queue.begin(&audience.told, audience.forgotten);
        }
        audience.queues.push(queue);
        Ok(subscription)
    }

    fn tell(&self, refusal: &Refusal) {
        let failcnt = self.roster.find(refusal.id).and_then(|it| it.failcnt(refusal.resource));
        entry::log(refusal, failcnt);
        let mut audience = self.audience.lock();
        if audience.told.len() == KEPT {
            audience.told.pop_front();
            audience.forgotten += 1;
        }
        audience.told.push_back(refusal.clone());
        audience.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.put(refusal);
                true
            }
            None => false,
        });
    }
}

fn serve(programs: &Programs, refusals: &Weak<Refusals>, rung: &Rung) -> ubc_cgroup::Result<()> {
    let mut events = programs.events()?;
    while let Some(refusals) = refusals.upgrade() {
        for event in events.take()? {
            // Slots without a number are tests of our own.
            if let Some(refusal) = refusal(&event) {
                refusals.tell(&refusal);
            }
        }
        drop(refusals);
        wait(&events, rung);
    }
    Ok(())
}

fn wait(events: &Events, rung: &Rung) {
    // An error shows when the queue is read.
    let _ = poll(&mut [PollFd::new(events, PollFlags::IN), PollFd::new(rung, PollFlags::IN)], None);
}

fn refusal(event: &Event) -> Option<Refusal> {
    let id = ContainerId::new(u32::try_from(event.ctid).ok()?).ok().filter(|id| !id.is_host())?;
    Some(Refusal {
        time: since_epoch(event.time).as_secs_f64(),
        id,
        resource: event.resource,
        asked: event.asked,
        held: event.held,
        barrier: event.barrier,
        limit: event.limit,
        pid: event.pid,
        comm: String::from_utf8_lossy(&event.comm).into_owned(),
        dropped: event.dropped,
    })
}

/// The time of the wall clock at a moment of the monotonic one.
fn since_epoch(moment: Duration) -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    let now = Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanos);
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    wall.saturating_sub(now.saturating_sub(moment))
}
