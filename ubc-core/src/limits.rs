//! Barrier and limit: the two thresholds of a resource.

/// The largest value a barrier, a limit or a charge may have; as a threshold
/// it means "no limit" (OpenVZ `UB_MAXVALUE`, `LONG_MAX` on 64 bits).
pub const UNLIMITED: u64 = i64::MAX as u64;

/// The two thresholds of one resource, in its unit.
///
/// A HARD charge is refused above the barrier or above the limit, a SOFT one
/// above the limit, a FORCE one never. Reaching a threshold exactly is
/// allowed. The kernel never asked for `barrier <= limit` (042stab
/// `kernel/bc/sys.c`), so this type does not either; the tools do, and
/// [`Limits::ordered`] is their check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Where HARD charges stop, 0 to [`UNLIMITED`].
    pub barrier: u64,
    /// Where SOFT charges stop, 0 to [`UNLIMITED`].
    pub limit: u64,
}

/// A pair of thresholds nobody may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// The barrier is above [`UNLIMITED`].
    #[error("barrier {0} is above the maximum {UNLIMITED}")]
    BarrierTooLarge(u64),
    /// The limit is above [`UNLIMITED`].
    #[error("limit {0} is above the maximum {UNLIMITED}")]
    LimitTooLarge(u64),
    /// The barrier is above the limit, where that was asked for.
    #[error("barrier {barrier} is above limit {limit}; accepted: barrier <= limit")]
    BarrierAboveLimit {
        /// The barrier asked for.
        barrier: u64,
        /// The limit asked for.
        limit: u64,
    },
}

impl Limits {
    /// No limit at all.
    pub const UNLIMITED: Limits = Limits { barrier: UNLIMITED, limit: UNLIMITED };

    /// A pair the engine accepts.
    ///
    /// # Errors
    ///
    /// A value above [`UNLIMITED`] (the system call answered EINVAL).
    pub const fn new(barrier: u64, limit: u64) -> Result<Limits, LimitsError> {
        if barrier > UNLIMITED {
            return Err(LimitsError::BarrierTooLarge(barrier));
        }
        if limit > UNLIMITED {
            return Err(LimitsError::LimitTooLarge(limit));
        }
        Ok(Limits { barrier, limit })
    }

    /// A pair an administrator may set: also `barrier <= limit`.
    ///
    /// # Errors
    ///
    /// As [`Limits::new`], and a barrier above the limit.
    pub const fn ordered(barrier: u64, limit: u64) -> Result<Limits, LimitsError> {
        match Limits::new(barrier, limit) {
            Ok(_) if barrier > limit => Err(LimitsError::BarrierAboveLimit { barrier, limit }),
            other => other,
        }
    }

    /// The same value as barrier and limit.
    ///
    /// # Errors
    ///
    /// A value above [`UNLIMITED`].
    pub const fn both(value: u64) -> Result<Limits, LimitsError> {
        Limits::new(value, value)
    }

    /// The same pair, if the engine accepts it. The fields are public, so a
    /// pair need not come from [`Limits::new`].
    ///
    /// # Errors
    ///
    /// A value above [`UNLIMITED`].
    pub const fn checked(self) -> Result<Limits, LimitsError> {
        Limits::new(self.barrier, self.limit)
    }

    /// The highest use a HARD charge may lead to.
    pub const fn hard(self) -> u64 {
        if self.barrier < self.limit { self.barrier } else { self.limit }
    }

    /// Whether neither threshold can ever refuse.
    pub const fn is_unlimited(self) -> bool {
        self.barrier == UNLIMITED && self.limit == UNLIMITED
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::UNLIMITED
    }
}

#[cfg(test)]
mod tests;
