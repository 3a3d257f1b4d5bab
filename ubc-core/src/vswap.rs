//! VSwap: two numbers, RAM and swap, from which the other limits follow.
//!
//! (vzctl 4.6 and later, `src/lib/ub.c`; meant for kernels from 042stab042
//! on. vzctl's manual words two of the rules differently; these are the ones
//! its code applies.)

use core::fmt;
use core::str::FromStr;

use crate::page::clamp;
use crate::{Limits, PerResource, Resource, UNLIMITED};

/// How many times RAM plus swap the address space of a container may grow to
/// (`--vm_overcommit`, `VM_OVERCOMMIT`): above 0, in steps of a billionth.
///
/// A decimal fraction rather than a float, so that limits computed from it
/// are the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Overcommit {
    billionths: u64,
}

/// A text that is no overcommit factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an overcommit factor is a decimal number such as 1.5, \
     at most {max} with at most 9 decimals",
    max = Overcommit::MAX
)]
pub struct InvalidOvercommit;

impl Overcommit {
    /// The largest factor.
    pub const MAX: u64 = 1_000_000_000;

    const ONE: u64 = 1_000_000_000;

    /// A whole factor; `None` for 0, which vzctl takes as "not set".
    ///
    /// # Errors
    ///
    /// A factor above [`Overcommit::MAX`].
    pub const fn whole(factor: u64) -> Result<Option<Overcommit>, InvalidOvercommit> {
        match factor {
            0 => Ok(None),
            1..=Self::MAX => Ok(Some(Overcommit { billionths: factor * Self::ONE })),
            _ => Err(InvalidOvercommit),
        }
    }

    /// A factor written as a decimal number; `None` for 0, which vzctl takes
    /// as "not set". Plain digits and at most one point: no sign, exponent or
    /// blank.
    ///
    /// # Errors
    ///
    /// A text that is none, or a factor above [`Overcommit::MAX`].
    pub fn parse(text: &str) -> Result<Option<Overcommit>, InvalidOvercommit> {
        let (whole, decimals) = match text.split_once('.') {
            Some((_, "")) => return Err(InvalidOvercommit),
            Some((whole, decimals)) => (whole, decimals),
            None => (text, "0"),
        };
        let digits = |text: &str, most: usize| {
            text.len() <= most && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 10) || !digits(decimals, 9) {
            return Err(InvalidOvercommit);
        }
        let number = |text: &str| u64::from_str(text).map_err(|_| InvalidOvercommit);
        let whole = number(whole)?;
        // At most nine digits, so the exponent is not negative.
        let places = u32::try_from(decimals.len()).map_err(|_| InvalidOvercommit)?;
        let fraction = number(decimals)? * 10_u64.pow(9 - places);
        let billionths = whole
            .checked_mul(Self::ONE)
            .and_then(|billionths| billionths.checked_add(fraction))
            .filter(|&billionths| billionths <= Self::MAX * Self::ONE)
            .ok_or(InvalidOvercommit)?;
        Ok((billionths > 0).then_some(Overcommit { billionths }))
    }

    /// So many pages times the factor, rounded down; what is above
    /// [`UNLIMITED`] is [`UNLIMITED`].
    fn of(self, pages: u64) -> u64 {
        clamp(u128::from(pages) * u128::from(self.billionths) / u128::from(Self::ONE))
    }
}

impl fmt::Display for Overcommit {
    /// As a decimal number without trailing zeros: `1.5`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut fraction) = (self.billionths / Self::ONE, self.billionths % Self::ONE);
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let mut places = 9;
        while fraction % 10 == 0 {
            fraction /= 10;
            places -= 1;
        }
        write!(f, ".{fraction:0places$}")
    }
}

/// The memory of a VSwap container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vswap {
    /// RAM, in pages (`--ram`).
    pub ram: u64,
    /// Swap, in pages (`--swap`).
    pub swap: u64,
    /// Bound on address space, as a multiple of both; `None` for no bound.
    pub overcommit: Option<Overcommit>,
}

impl Vswap {
    /// The limits that follow; `None` for the resources VSwap says nothing
    /// about.
    ///
    /// | resource | barrier | limit |
    /// |---|---|---|
    /// | physpages | 0 | ram |
    /// | swappages | 0 | swap |
    /// | lockedpages | ram | ram |
    /// | oomguarpages | ram | unlimited |
    /// | vmguarpages | ram + swap | unlimited |
    /// | privvmpages | (ram + swap) x overcommit | the same |
    ///
    /// Without an overcommit factor privvmpages is unlimited. Amounts above
    /// [`UNLIMITED`] become [`UNLIMITED`]; nothing wraps.
    pub fn limits(self) -> PerResource<Option<Limits>> {
        let ram = self.ram.min(UNLIMITED);
        let swap = self.swap.min(UNLIMITED);
        let both = ram.saturating_add(swap).min(UNLIMITED);
        let space = self.overcommit.map_or(UNLIMITED, |factor| factor.of(both));
        PerResource::from_fn(|resource| match resource {
            Resource::PhysPages => Some(Limits { barrier: 0, limit: ram }),
            Resource::SwapPages => Some(Limits { barrier: 0, limit: swap }),
            Resource::LockedPages => Some(Limits { barrier: ram, limit: ram }),
            Resource::OomGuarPages => Some(Limits { barrier: ram, limit: UNLIMITED }),
            Resource::VmGuarPages => Some(Limits { barrier: both, limit: UNLIMITED }),
            Resource::PrivvmPages => Some(Limits { barrier: space, limit: space }),
            _ => None,
        })
    }

    /// Whether limits are those of a VSwap container: physpages has a limit,
    /// and it is neither 2^63-1 nor 2^31-1, the two forms of "unlimited"
    /// (vzctl `src/lib/config.c`).
    pub fn recognise(limits: &PerResource<Option<Limits>>) -> bool {
        limits[Resource::PhysPages]
            .is_some_and(|physpages| physpages.limit != UNLIMITED && physpages.limit != INT_MAX)
    }
}

/// "Unlimited" as a 32-bit tool writes it.
const INT_MAX: u64 = i32::MAX as u64;

#[cfg(test)]
mod tests;
