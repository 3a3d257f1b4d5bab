//! Refusals as they happen.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use libbpf_rs::{RingBuffer, RingBufferBuilder};
use ubc_core::{Resource, Severity};

use crate::layout::{self, RawEvent};
use crate::queues::{Queues, TABLE};
use crate::{Enforcer, Error, Result};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, since boot without suspended time (CLOCK_MONOTONIC).
    pub time: Duration,
    /// The container that refused, as it was named to [`Enforcer::add`].
    pub ctid: u64,
    /// The row that refused.
    pub resource: Resource,
    /// How urgent the request was.
    pub severity: Severity,
    /// How much was asked for, in the row's unit.
    pub asked: u64,
    /// How much was held at about that time.
    pub held: u64,
    /// The barrier in force.
    pub barrier: u64,
    /// The limit in force.
    pub limit: u64,
    /// The process that asked, in the host's numbers.
    pub pid: u32,
    /// Its thread.
    pub tid: u32,
    /// The id of its cgroup, of the container or below.
    pub cgroup: u64,
    /// The thread's name, as it chose it: escape it before a terminal sees it.
    pub comm: Vec<u8>,
    /// Refusals of this container, so far, of which no event came: it had too
    /// many at once.
    pub dropped: u64,
}

impl Event {
    fn of(raw: &RawEvent) -> Option<Event> {
        let end = raw.comm.iter().position(|byte| *byte == 0).unwrap_or(raw.comm.len());
        Some(Event {
            time: Duration::from_nanos(raw.time),
            ctid: raw.ctid,
            resource: layout::resource(raw.resource)?,
            severity: if raw.severity == 0 { Severity::Hard } else { Severity::Soft },
            asked: layout::clamped(raw.asked),
            held: layout::clamped(raw.held),
            barrier: layout::from_signed(raw.barrier),
            limit: layout::from_signed(raw.limit),
            pid: raw.pid,
            tid: raw.tid,
            cgroup: raw.cgroup,
            comm: raw.comm[..end].to_vec(),
            dropped: raw.dropped,
        })
    }
}

/// Reads the refusals of the containers that an enforcer added. There is one reader for
/// an enforcer: an event reaches one of two.
pub struct Events {
    queues: Arc<Queues>,
    /// In the order in which the enforcer got them.
    rings: Vec<RingBuffer<'static>>,
    read: Rc<RefCell<Vec<Event>>>,
}

impl Events {
    /// Connects to the queues of an enforcer.
    ///
    /// # Errors
    ///
    /// One of them cannot be mapped.
    pub fn open(enforcer: &Enforcer) -> Result<Events> {
        let queues = Arc::clone(&enforcer.queues);
        let mut events = Events { queues, rings: Vec::new(), read: Rc::default() };
        events.connect()?;
        Ok(events)
    }

    /// Maps the queues that the enforcer got since the last time.
    fn connect(&mut self) -> Result<()> {
        let failed = |source| Error::Map { map: TABLE, source };
        for map in self.queues.beyond(self.rings.len())? {
            let sink = Rc::clone(&self.read);
            let mut builder = RingBufferBuilder::new();
            builder
                .add(&map, move |bytes| {
                    if let Some(event) = RawEvent::decode(bytes).as_ref().and_then(Event::of) {
                        sink.borrow_mut().push(event);
                    }
                    0
                })
                .map_err(failed)?;
            self.rings.push(builder.build().map_err(failed)?);
        }
        Ok(())
    }

    /// The refusals since the last call; does not wait. Wait for the
    /// descriptor to become readable instead.
    ///
    /// # Errors
    ///
    /// A queue cannot be mapped or read.
    pub fn take(&mut self) -> Result<Vec<Event>> {
        self.connect()?;
        for ring in &self.rings {
            ring.consume().map_err(|source| Error::Map { map: TABLE, source })?;
        }
        Ok(self.read.take())
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queues.as_fd()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
