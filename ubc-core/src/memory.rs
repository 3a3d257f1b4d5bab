//! How much of a host's memory containers use, were promised and may take.
//!
//! The formulas are those of vzcalc and vzmemcheck (vzctl), and of OpenVZ's
//! page "UBC systemwide configuration". Every share is exact as a fraction;
//! [`Share::percent`] rounds only in the end.
//!
//! `K` is kmemsize and the four buffers of sockets together, all in bytes, held
//! or at their limits; `L` is 40 % of low memory.
//!
//! | share | part | of |
//! |---|---|---|
//! | low memory, used | K held | L |
//! | low memory, committed | K limit | L |
//! | RAM, used | physpages held + K held | RAM |
//! | RAM and swap, used | oomguarpages held + K held | RAM + swap |
//! | RAM and swap, committed | oomguarpages barrier + K limit | RAM + swap |
//! | allocations, used | privvmpages held + K held | RAM + swap |
//! | allocations, committed | vmguarpages barrier + K limit | RAM + swap |
//! | allocations, limit | privvmpages limit + K limit | RAM + swap |

use core::ops::AddAssign;

use crate::{PageSize, PerResource, Resource, Row, UNLIMITED};

/// The memory of a host, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// RAM.
    pub ram: u64,
    /// Swap.
    pub swap: u64,
    /// Memory the kernel can use for itself: of a 64-bit kernel, all RAM.
    pub low: u64,
}

/// A part of a whole, both in bytes. The part may be the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// The part.
    pub part: u128,
    /// The whole.
    pub whole: u128,
}

impl Share {
    /// The part in percent of the whole; of nothing it is 0.
    #[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
    pub fn percent(self) -> f64 {
        if self.whole == 0 { 0.0 } else { 100.0 * self.part as f64 / self.whole as f64 }
    }

    /// Whether the part is without end: a row in it is not limited.
    pub const fn is_unlimited(self) -> bool {
        self.part >= UNLIMITED as u128
    }

    /// The part in units of 1048576 bytes.
    #[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
    pub fn mebibytes(self) -> f64 {
        self.part as f64 / f64::from(1 << 20)
    }
}

impl AddAssign for Share {
    /// Adds the part of another to the same whole.
    fn add_assign(&mut self, other: Share) {
        self.part += other.part;
    }
}

/// The shares of one container, or, added up, of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Low memory, used.
    pub low_used: Share,
    /// Low memory, committed.
    pub low_committed: Share,
    /// RAM, used.
    pub ram_used: Share,
    /// RAM and swap, used.
    pub swap_used: Share,
    /// RAM and swap, committed.
    pub swap_committed: Share,
    /// Allocations, used.
    pub allocated_used: Share,
    /// Allocations, committed.
    pub allocated_committed: Share,
    /// Allocations, at their limits.
    pub allocated_limit: Share,
}

impl Shares {
    /// Of no container.
    pub fn none(memory: Memory) -> Shares {
        Shares::of(&PerResource::default(), memory, PageSize::DEFAULT)
    }

    /// Of one container.
    pub fn of(rows: &PerResource<Row>, memory: Memory, page: PageSize) -> Shares {
        let low = u128::from(memory.low) * 4 / 10;
        let ram = u128::from(memory.ram);
        let all = ram + u128::from(memory.swap);
        let kernel = |amount: fn(&Row) -> u64| -> u128 {
            KERNEL.into_iter().map(|row| u128::from(amount(&rows[row]))).sum()
        };
        let (held, limit) = (kernel(|row| row.held), kernel(|row| row.limit));
        let pages = |amount: u64| page.bytes_in(amount);
        let share = |part, whole| Share { part, whole };
        let row = |row: Resource| &rows[row];
        Shares {
            low_used: share(held, low),
            low_committed: share(limit, low),
            ram_used: share(pages(row(Resource::PhysPages).held) + held, ram),
            swap_used: share(pages(row(Resource::OomGuarPages).held) + held, all),
            swap_committed: share(pages(row(Resource::OomGuarPages).barrier) + limit, all),
            allocated_used: share(pages(row(Resource::PrivvmPages).held) + held, all),
            allocated_committed: share(pages(row(Resource::VmGuarPages).barrier) + limit, all),
            allocated_limit: share(pages(row(Resource::PrivvmPages).limit) + limit, all),
        }
    }

    /// In the order of vzmemcheck's columns.
    pub fn columns(&self) -> [Share; 8] {
        [
            self.low_used,
            self.low_committed,
            self.ram_used,
            self.swap_used,
            self.swap_committed,
            self.allocated_used,
            self.allocated_committed,
            self.allocated_limit,
        ]
    }
}

impl AddAssign for Shares {
    fn add_assign(&mut self, other: Shares) {
        self.low_used += other.low_used;
        self.low_committed += other.low_committed;
        self.ram_used += other.ram_used;
        self.swap_used += other.swap_used;
        self.swap_committed += other.swap_committed;
        self.allocated_used += other.allocated_used;
        self.allocated_committed += other.allocated_committed;
        self.allocated_limit += other.allocated_limit;
    }
}

/// Rows of kernel memory, in bytes.
const KERNEL: [Resource; 5] = [
    Resource::KmemSize,
    Resource::TcpRcvBuf,
    Resource::TcpSndBuf,
    Resource::DgramRcvBuf,
    Resource::OtherSockBuf,
];

#[cfg(test)]
mod tests;
