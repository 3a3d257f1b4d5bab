//! The thresholds a new container starts with.

use crate::{Limits, PerResource, Resource, SetLimitsError, UNLIMITED};

/// The thresholds a new container starts with.
///
/// The host and sub-beancounters always start without any limit, as in every
/// OpenVZ kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    limits: PerResource<Limits>,
}

impl Defaults {
    /// No limits, and no guaranteed allocations (`vmguarpages` 0). What
    /// survives an out-of-memory kill is everything, as the memory of the
    /// machine is not known: see [`Defaults::for_memory`].
    pub fn new() -> Self {
        let mut limits = PerResource::<Limits>::default();
        limits[Resource::VmGuarPages].barrier = 0;
        Defaults { limits }
    }

    /// What late 042stab kernels gave a new container on a machine with this
    /// many pages of memory (`kernel/bc/beancounter.c`): no limits,
    /// `vmguarpages` guarantees nothing, `oomguarpages` three quarters of the
    /// memory.
    pub fn for_memory(pages: u64) -> Self {
        let mut defaults = Self::new();
        // In this order it cannot overflow, and rounds as the kernel did.
        let guarantee = (pages / 4).saturating_mul(3).saturating_add(pages % 4 * 3 / 4);
        defaults.limits[Resource::OomGuarPages].barrier = guarantee.min(UNLIMITED);
        defaults
    }

    /// A table of one's own.
    ///
    /// # Errors
    ///
    /// The first pair, in slot order, with a value above [`UNLIMITED`].
    pub fn from_table(limits: PerResource<Limits>) -> Result<Self, SetLimitsError> {
        for (resource, pair) in limits.iter() {
            pair.checked().map_err(|reason| SetLimitsError { resource, reason })?;
        }
        Ok(Defaults { limits })
    }

    /// The table.
    pub const fn limits(&self) -> &PerResource<Limits> {
        &self.limits
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
