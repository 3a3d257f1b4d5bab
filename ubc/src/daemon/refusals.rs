//! Refusals by the kernel's programs: logged, and told to whoever watches.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use log::{info, warn};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};
use ubc_cgroup::Programs;
use ubc_cgroup::ubc_bpf::{Event, Events};
use ubc_core::ContainerId;

use crate::protocol::Refusal;

/// Who watches: each gets a message for each refusal. One that does not read
/// misses what its socket does not hold; it keeps nobody waiting.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Vec<UnixDatagram>>);

impl Refusals {
    /// Reads the kernel's queue on a thread of its own, as long as somebody
    /// holds the result. The thread sleeps while nothing is refused.
    pub(super) fn start(programs: &Arc<Programs>) -> io::Result<Arc<Refusals>> {
        let refusals = Arc::new(Refusals::default());
        let weak = Arc::downgrade(&refusals);
        let programs = Arc::clone(programs);
        std::thread::Builder::new().name("ubc-refusals".to_owned()).spawn(move || {
            if let Err(error) = serve(&programs, &weak) {
                warn!("refusals are not told any more: {error}");
            }
        })?;
        Ok(refusals)
    }

    /// Where the refusals from now on arrive, for [`Refusals::take`].
    pub(super) fn watch(&self) -> io::Result<UnixDatagram> {
        let (tell, told) = UnixDatagram::pair()?;
        tell.set_nonblocking(true)?;
        self.0.lock().push(tell);
        Ok(told)
    }

    /// The next refusal; waits for it.
    pub(super) fn take(told: &UnixDatagram) -> io::Result<Refusal> {
        let mut message = [0; 4096];
        let length = told.recv(&mut message)?;
        Ok(serde_json::from_slice(&message[..length])?)
    }

    fn tell(&self, refusal: &Refusal) {
        info!("{refusal}");
        let Ok(message) = serde_json::to_vec(refusal) else { return };
        self.0.lock().retain(|watcher| match watcher.send(&message) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
    }
}

fn serve(programs: &Programs, refusals: &Weak<Refusals>) -> ubc_cgroup::Result<()> {
    let mut events = programs.events()?;
    while let Some(refusals) = refusals.upgrade() {
        for event in events.take()? {
            // Slots without a number are tests of our own.
            if let Some(refusal) = refusal(&event) {
                refusals.tell(&refusal);
            }
        }
        drop(refusals);
        wait(&events);
    }
    Ok(())
}

fn wait(events: &Events) {
    // An error shows when the queue is read.
    let _ = poll(&mut [PollFd::new(events, PollFlags::IN)], None);
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
