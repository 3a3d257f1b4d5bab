//! A container's own `/proc/meminfo`, computed from its beancounters.
//!
//! The rules are those of 042stab's `bc_fill_sysinfo` and `bc_fill_meminfo`:
//! the memory of a container with a limit on physpages (VSwap) is that limit,
//! that of any other is what `vzctl set --meminfo` says. Three differences.
//! Totals are never above the machine's, where OpenVZ's swap was virtual and
//! could be. A container without a limit to go by has the machine's totals,
//! swap included. And `MemAvailable`, which 2.6.32 did not have, is there,
//! because today's `free` and `top` go by it.

mod size;

use std::io::Write;

use ubc_core::{Reading, Resource, Row, UNLIMITED};

pub use size::{InvalidMemorySize, MemorySize};

/// Bytes that the file is announced to have: its lines are as long as their
/// numbers, and never as many as this.
pub const MEMINFO_LEN: usize = 4096;

/// "Unlimited" as a 32-bit tool writes it.
const INT_MAX: u64 = i32::MAX as u64;

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMemory {
    /// RAM, in bytes.
    pub ram: u64,
    /// Swap, in bytes.
    pub swap: u64,
    /// Size of a page, in bytes; a multiple of 1024.
    pub page: u64,
}

/// Appends `/proc/meminfo` of the container with these rows.
///
/// `size` is what counts as its memory as long as physpages has no limit.
pub fn write_meminfo(reading: &Reading, size: MemorySize, host: HostMemory, out: &mut Vec<u8>) {
    for (name, kib) in Memory::of(reading, size, host).lines() {
        let name = format!("{name}:");
        // Writing to a vector does not fail.
        let _ = writeln!(out, "{name:<16}{kib:>8} kB");
    }
}

/// The numbers of the file, in KiB.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    total: u64,
    free: u64,
    available: u64,
    cached: u64,
    locked: u64,
    swap_total: u64,
    swap_free: u64,
    anon: u64,
    shmem: u64,
    slab: u64,
    reclaimable: u64,
}

impl Memory {
    fn of(reading: &Reading, size: MemorySize, host: HostMemory) -> Memory {
        let rows = &reading.rows;
        let kib = |pages: u64| pages.saturating_mul(host.page / 1024);
        let held = |resource: Resource| kib(rows[resource].held);
        let (host_ram, host_swap) = (host.ram / 1024, host.swap / 1024);

        // Of a container that is accounted by address space only.
        let classic = size.pages(rows);
        let (total, used) = match (limit(&rows[Resource::PhysPages]), classic) {
            (Some(limit), _) => (kib(limit), held(Resource::PhysPages)),
            (None, Some(pages)) => (kib(pages), held(Resource::PrivvmPages)),
            (None, None) => (host_ram, held(Resource::PhysPages)),
        };
        let total = total.min(host_ram);
        let free = total.saturating_sub(used);
        let physical = limit(&rows[Resource::PhysPages]).is_some() || classic.is_none();
        let swap_total = match limit(&rows[Resource::SwapPages]) {
            Some(limit) => kib(limit).min(host_swap),
            None if physical => host_swap,
            None => 0,
        };

        // What is resident is kernel memory, what has no file behind it, and
        // the rest, which is page cache. No part is larger than what is left
        // for it, so that readers which subtract never get below 0.
        let busy = held(Resource::PhysPages).min(total - free);
        let slab = rows[Resource::KmemSize].held.div_ceil(1024).min(busy);
        let unfiled = held(Resource::OomGuarPages).saturating_sub(held(Resource::SwapPages));
        let anon = unfiled.min(busy - slab);
        let cached = busy - slab - anon;
        let shmem = held(Resource::ShmPages).min(cached);
        let reclaimable = rows[Resource::DcacheSize].held.div_ceil(1024).min(slab);
        Memory {
            total,
            free,
            available: free + (cached - shmem) + reclaimable,
            cached,
            locked: held(Resource::LockedPages).min(busy),
            swap_total,
            swap_free: swap_total.saturating_sub(held(Resource::SwapPages)),
            anon,
            shmem,
            slab,
            reclaimable,
        }
    }

    /// Names in the order of the kernel's own file. What no beancounter
    /// tells (active and inactive pages, dirty ones) is left out, not 0.
    fn lines(&self) -> [(&'static str, u64); 13] {
        [
            ("MemTotal", self.total),
            ("MemFree", self.free),
            ("MemAvailable", self.available),
            // The cache of block devices is nobody's but the host's.
            ("Buffers", 0),
            ("Cached", self.cached),
            ("Mlocked", self.locked),
            ("SwapTotal", self.swap_total),
            ("SwapFree", self.swap_free),
            ("AnonPages", self.anon),
            ("Shmem", self.shmem),
            ("Slab", self.slab),
            ("SReclaimable", self.reclaimable),
            ("SUnreclaim", self.slab - self.reclaimable),
        ]
    }
}

/// The limit of a row, in its unit, if it has one.
fn limit(row: &Row) -> Option<u64> {
    is_limited(row.limit).then_some(row.limit)
}

fn is_limited(threshold: u64) -> bool {
    threshold < UNLIMITED && threshold != INT_MAX
}

#[cfg(test)]
mod tests;
