//! The values of the maps, as the programs see them (bpf/maps.h).
//!
//! All numbers are in the machine's byte order. Nothing here trusts a length:
//! a value of another size is no value.

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

/// The form of the maps; another number means that they cannot be shared.
pub(crate) const ABI: u32 = 1;
/// OpenVZ's slots for rows, 0 to 24, up to a power of two.
pub(crate) const ROWS: usize = 32;
/// No row: where a container's entry has the kernel memory it began with.
const KERNEL_MEMORY_BEFORE: usize = 31;
/// No row: where it says whether the container is being taken over, and of which
/// rows it was.
const ARRIVING: usize = 30;
/// No row: which queue its refusals go to, if to any.
const QUEUE: usize = 29;
/// Levels of containers in containers.
pub(crate) const DEPTH: u32 = 8;
/// A container that is in none.
pub(crate) const NOBODY: u32 = u32::MAX;
/// Kinds of fault that are counted.
pub(crate) const FAULTS: usize = 8;

pub(crate) const CONTROL_SIZE: usize = 16;
pub(crate) const CONTAINER_SIZE: usize = 24 + ROWS * 16;
pub(crate) const COUNTS_SIZE: usize = ROWS * 24 + 24;
pub(crate) const EVENT_SIZE: usize = 104;

/// Reads numbers one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk::<N>().expect("sizes are checked first");
        self.0 = rest;
        *head
    }
    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.bytes())
    }
    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes())
    }
    fn i64(&mut self) -> i64 {
        i64::from_ne_bytes(self.bytes())
    }
}

/// `struct ubc_control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) generation: u32,
    pub(crate) abi: u32,
    /// Rows whose refusal was seen, by slot number; and whether passes were right.
    pub(crate) proven: u64,
}

impl Control {
    pub(crate) fn decode(value: &[u8]) -> Option<Control> {
        (value.len() == CONTROL_SIZE).then(|| {
            let mut fields = Fields(value);
            Control { generation: fields.u32(), abi: fields.u32(), proven: fields.u64() }
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(CONTROL_SIZE);
        value.extend(self.generation.to_ne_bytes());
        value.extend(self.abi.to_ne_bytes());
        value.extend(self.proven.to_ne_bytes());
        value
    }
}

/// `struct ubc_container`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) cgroup: u64,
    pub(crate) ctid: u64,
    pub(crate) parent: u32,
    pub(crate) leaving: bool,
    /// What it holds already is being recorded.
    pub(crate) arriving: bool,
    /// Rows, by slot number, of which all that it holds is recorded.
    pub(crate) recorded: u64,
    pub(crate) limits: PerResource<Limits>,
    /// Kernel memory that it had before it was counted, or less than nothing of
    /// what was counted before; `None` if the memory controller does not tell.
    pub(crate) kernel_memory: Option<i64>,
    /// The queue of whoever is told of its refusals.
    pub(crate) queue: Option<u32>,
}

impl Container {
    pub(crate) fn decode(value: &[u8]) -> Option<Container> {
        (value.len() == CONTAINER_SIZE).then(|| {
            let mut fields = Fields(value);
            let (cgroup, ctid) = (fields.u64(), fields.u64());
            let (parent, leaving) = (fields.u32(), fields.u32() != 0);
            let rows: [(i64, i64); ROWS] = std::array::from_fn(|_| (fields.i64(), fields.i64()));
            let limits = PerResource::from_fn(|resource| {
                let (barrier, limit) = rows[resource as usize];
                Limits { barrier: from_signed(barrier), limit: from_signed(limit) }
            });
            let (before, not_counted) = rows[KERNEL_MEMORY_BEFORE];
            let kernel_memory = (not_counted == 0).then_some(before);
            let (recorded, not_arriving) = rows[ARRIVING];
            let (queue, not_told) = rows[QUEUE];
            Container {
                cgroup,
                ctid,
                parent,
                leaving,
                arriving: not_arriving == 0,
                // Builds before this one left it a bound.
                recorded: u64::try_from(recorded).ok().filter(|r| *r >> ROWS == 0).unwrap_or(0),
                limits,
                kernel_memory,
                queue: u32::try_from(queue).ok().filter(|_| not_told == 0),
            }
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut rows = [(i64::MAX, i64::MAX); ROWS];
        for (resource, limits) in self.limits.iter() {
            rows[resource as usize] = (to_signed(limits.barrier), to_signed(limits.limit));
        }
        if let Some(before) = self.kernel_memory {
            rows[KERNEL_MEMORY_BEFORE] = (before, 0);
        }
        rows[ARRIVING] = (self.recorded.cast_signed(), if self.arriving { 0 } else { i64::MAX });
        if let Some(queue) = self.queue {
            rows[QUEUE] = (queue.into(), 0);
        }
        let mut value = Vec::with_capacity(CONTAINER_SIZE);
        value.extend(self.cgroup.to_ne_bytes());
        value.extend(self.ctid.to_ne_bytes());
        value.extend(self.parent.to_ne_bytes());
        value.extend(u32::from(self.leaving).to_ne_bytes());
        for (barrier, limit) in rows {
            value.extend(barrier.to_ne_bytes());
            value.extend(limit.to_ne_bytes());
        }
        value
    }
}

/// One row as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// In use now, in the resource's unit.
    pub held: u64,
    /// The most that ever was in use.
    pub maxheld: u64,
    /// Operations refused.
    pub failcnt: u64,
}

/// `struct ubc_counts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rows: PerResource<Count>,
    /// Kernel memory that came, less what went, since it is counted.
    pub(crate) kernel_memory: i64,
    pub(crate) dropped: u64,
}

impl Counts {
    pub(crate) fn decode(value: &[u8]) -> Option<Counts> {
        (value.len() == COUNTS_SIZE).then(|| {
            let mut fields = Fields(value);
            let rows: [(i64, i64, u64); ROWS] =
                std::array::from_fn(|_| (fields.i64(), fields.i64(), fields.u64()));
            let _window_and_sent = (fields.u64(), fields.u64());
            let rows_of_resources = PerResource::from_fn(|resource| {
                let (held, maxheld, failcnt) = rows[resource as usize];
                Count { held: clamped(held), maxheld: clamped(maxheld), failcnt }
            });
            Counts {
                rows: rows_of_resources,
                kernel_memory: rows[Resource::KmemSize as usize].0,
                dropped: fields.u64(),
            }
        })
    }

    /// As [`Counts::rows`], for a container.
    pub(crate) fn of(&self, container: &Container) -> PerResource<Count> {
        let mut rows = self.rows;
        let kernel_memory = container.kernel_memory.map(|before| before + self.kernel_memory);
        let row = &mut rows[Resource::KmemSize];
        row.held = clamped(kernel_memory.unwrap_or(0));
        row.maxheld = row.maxheld.max(row.held);
        rows
    }

    /// Whether no object is charged to it any more. Kernel memory has no objects:
    /// what is left of a cgroup that is gone is the parent's.
    pub(crate) fn is_zero(&self) -> bool {
        self.rows.iter().all(|(row, count)| row == Resource::KmemSize || count.held == 0)
    }
}

/// `struct ubc_event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawEvent {
    pub(crate) time: u64,
    pub(crate) ctid: u64,
    pub(crate) cgroup: u64,
    pub(crate) asked: i64,
    pub(crate) held: i64,
    pub(crate) barrier: i64,
    pub(crate) limit: i64,
    pub(crate) dropped: u64,
    pub(crate) slot: u32,
    pub(crate) resource: u32,
    pub(crate) severity: u32,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) comm: [u8; 16],
}

impl RawEvent {
    pub(crate) fn decode(value: &[u8]) -> Option<RawEvent> {
        (value.len() == EVENT_SIZE).then(|| {
            let mut fields = Fields(value);
            RawEvent {
                time: fields.u64(),
                ctid: fields.u64(),
                cgroup: fields.u64(),
                asked: fields.i64(),
                held: fields.i64(),
                barrier: fields.i64(),
                limit: fields.i64(),
                dropped: fields.u64(),
                slot: fields.u32(),
                resource: fields.u32(),
                severity: fields.u32(),
                pid: fields.u32(),
                tid: fields.u32(),
                comm: fields.bytes(),
            }
        })
    }
}

/// A bound as the programs compare it. No kernel object is counted beyond
/// 2^63, so a bound there is none.
pub(crate) fn to_signed(bound: u64) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

pub(crate) fn from_signed(bound: i64) -> u64 {
    if bound == i64::MAX { UNLIMITED } else { clamped(bound) }
}

/// A count; below zero only for the moment between two stores of the kernel.
pub(crate) fn clamped(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The resource of a slot number.
pub(crate) fn resource(slot: u32) -> Option<Resource> {
    Resource::ALL.into_iter().find(|resource| u32::from(*resource as u8) == slot)
}

#[cfg(test)]
mod tests;
