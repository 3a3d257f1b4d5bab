//! The size of a page: what turns pages into bytes and back.

use core::num::NonZeroU64;

use crate::UNLIMITED;

/// Bytes in a page of the machine: a power of two from 1 to 2^30.
///
/// Every formula that mixes resources counted in pages with resources
/// counted in bytes takes one, so that a configuration written on one machine
/// can be judged on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(NonZeroU64);

/// A number of bytes no machine has as its page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page size {0} is not a power of two from 1 to {max}", max = PageSize::MAX)]
pub struct InvalidPageSize(pub u64);

impl PageSize {
    /// 4096 bytes: x86-64, and most machines of other kinds.
    pub const DEFAULT: PageSize = PageSize(NonZeroU64::new(4096).unwrap());

    /// The largest size accepted, 1 GiB. It bounds every product of this
    /// crate far below the range of the 128-bit numbers they are computed in.
    pub const MAX: u64 = 1 << 30;

    /// The page size of so many bytes.
    ///
    /// # Errors
    ///
    /// Zero, a number that is no power of two, or one above
    /// [`PageSize::MAX`].
    pub const fn new(bytes: u64) -> Result<PageSize, InvalidPageSize> {
        match NonZeroU64::new(bytes) {
            Some(size) if bytes.is_power_of_two() && bytes <= Self::MAX => Ok(PageSize(size)),
            _ => Err(InvalidPageSize(bytes)),
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }

    /// How many bytes so many pages are. Exact: never wraps.
    pub const fn bytes_in(self, pages: u64) -> u128 {
        pages as u128 * self.0.get() as u128
    }

    /// How many whole pages so many bytes hold (rounded down).
    pub const fn whole_pages(self, bytes: u128) -> u128 {
        bytes / self.0.get() as u128
    }

    /// How many pages it takes to hold so many bytes (rounded up).
    pub const fn pages_for(self, bytes: u128) -> u128 {
        bytes.div_ceil(self.0.get() as u128)
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u64> for PageSize {
    type Error = InvalidPageSize;

    fn try_from(bytes: u64) -> Result<Self, InvalidPageSize> {
        Self::new(bytes)
    }
}

/// A computed amount as a value a barrier or a limit may have: what is above
/// [`UNLIMITED`] is no limit.
pub(crate) fn clamp(amount: u128) -> u64 {
    u64::try_from(amount).map_or(UNLIMITED, |amount| amount.min(UNLIMITED))
}

#[cfg(test)]
mod tests;
