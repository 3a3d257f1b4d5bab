//! Where the programs put refusals, for each process that reads some.
//!
//! A container's refusals go to the queue of whoever added the container last, so that two
//! daemons on one machine, or a daemon and a program with a node of its own, each hear all of
//! their containers' refusals and none of others'. A queue stays where it is when its reader
//! ends: the next one finds there what was refused meanwhile.

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libbpf_rs::libbpf_sys::bpf_map_create_opts;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};
use rustix::event::epoll;

use crate::layout::Container;
use crate::place::{self, Place};
use crate::{Error, Result};

/// The map that has them (bpf/maps.h).
pub(crate) const TABLE: &str = "ubc_queues";

/// How many there can be, and so how many processes that have containers.
const MOST: u32 = 1024;

/// The queues that one enforcer reads.
#[derive(Debug)]
pub(crate) struct Queues {
    place: Place,
    /// Bytes of each.
    size: u32,
    /// Readable while something waits in one of them.
    ready: OwnedFd,
    /// More may come, none goes.
    ours: Mutex<Vec<Queue>>,
}

#[derive(Debug)]
struct Queue {
    at: u32,
    map: MapHandle,
    /// Nobody else reads it while this is held.
    _reader: place::Guard,
}

impl Queues {
    pub(crate) fn new(place: &Place, size: u32) -> Result<Queues> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC);
        let failed =
            |errno: rustix::io::Errno| Error::Io { path: "epoll".into(), source: errno.into() };
        let (place, ours) = (place.clone(), Mutex::default());
        Ok(Queues { place, size, ready: ready.map_err(failed)?, ours })
    }

    /// Where the refusals of a container go that had `had` before; `None` if nobody is to
    /// be told of them, or nobody can be. Asked while the tables are locked.
    pub(crate) fn of(
        &self,
        had: Option<u32>,
        taken: &[(u32, Container)],
        table: &MapHandle,
    ) -> Option<u32> {
        self.find(had, taken, table).unwrap_or_else(|error| {
            log::warn!("refusals are counted, but not told here: {error}");
            had
        })
    }

    fn find(
        &self,
        had: Option<u32>,
        taken: &[(u32, Container)],
        table: &MapHandle,
    ) -> Result<Option<u32>> {
        let mut ours = self.ours();
        if let Some(at) = had {
            if ours.iter().any(|queue| queue.at == at) {
                return Ok(had);
            }
            // If who read it has ended, what waits there is ours to tell.
            if let Some(queue) = self.inherit(at, table)? {
                ours.push(queue);
                return Ok(had);
            }
        }
        if let Some(queue) = ours.first() {
            return Ok(Some(queue.at));
        }
        let used: HashSet<u32> = taken.iter().filter_map(|(_, it)| it.queue).collect();
        // One that is left over keeps for its next reader what waits there, as long as
        // there are others.
        let (left, free): (Vec<u32>, Vec<u32>) = (0..MOST).partition(|at| used.contains(at));
        for at in free.into_iter().chain(left) {
            if let Some(queue) = self.make(at, table)? {
                ours.push(queue);
                return Ok(Some(at));
            }
        }
        log::warn!("refusals are counted, but not told: {MOST} processes hear of some already");
        Ok(None)
    }

    /// Takes over a queue whose reader has ended.
    fn inherit(&self, at: u32, table: &MapHandle) -> Result<Option<Queue>> {
        let failed = |source| Error::Map { map: TABLE, source };
        let id = table.lookup(&at.to_ne_bytes(), MapFlags::ANY).map_err(failed)?;
        let Some(id) = id.and_then(|id| Some(u32::from_ne_bytes(id.try_into().ok()?))) else {
            return Ok(None);
        };
        let Some(reader) = self.place.read_queue(at)? else { return Ok(None) };
        let map = MapHandle::from_map_id(id).map_err(failed)?;
        self.listen(at, map, reader).map(Some)
    }

    /// Makes one anew, unless somebody reads it.
    fn make(&self, at: u32, table: &MapHandle) -> Result<Option<Queue>> {
        let failed = |source| Error::Map { map: TABLE, source };
        let Some(reader) = self.place.read_queue(at)? else { return Ok(None) };
        let options = bpf_map_create_opts {
            sz: size_of::<bpf_map_create_opts>() as libbpf_rs::libbpf_sys::size_t,
            ..bpf_map_create_opts::default()
        };
        let map = MapHandle::create(MapType::RingBuf, Some("ubc_queue"), 0, 0, self.size, &options)
            .map_err(failed)?;
        let fd = map.as_fd().as_raw_fd().to_ne_bytes();
        table.update(&at.to_ne_bytes(), &fd, MapFlags::ANY).map_err(failed)?;
        self.listen(at, map, reader).map(Some)
    }

    fn listen(&self, at: u32, map: MapHandle, reader: place::Guard) -> Result<Queue> {
        let data = epoll::EventData::new_u64(at.into());
        epoll::add(&self.ready, &map, data, epoll::EventFlags::IN).map_err(|errno| {
            let source = std::io::Error::from(errno);
            Error::Io { path: TABLE.into(), source }
        })?;
        Ok(Queue { at, map, _reader: reader })
    }

    /// Those after the first `known`.
    pub(crate) fn beyond(&self, known: usize) -> Result<Vec<MapHandle>> {
        let ours = self.ours();
        let more = ours.iter().skip(known).map(|queue| MapHandle::try_from(&queue.map));
        more.collect::<libbpf_rs::Result<_>>().map_err(|source| Error::Map { map: TABLE, source })
    }

    fn ours(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Queues {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
