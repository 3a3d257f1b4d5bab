//! What can go wrong with a charge, and where.

use crate::severity::{Ask, Severity};
use crate::{Denied, Limits, LimitsError, Resource, UNLIMITED, UbId};

/// A charge that was refused because it would have passed a threshold: the
/// kernel's `-ENOMEM`, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{resource}: {severity} charge of {asked} refused by {at}: held {held}, barrier {barrier}, limit {limit}"
)]
pub struct Refusal {
    /// What was charged.
    pub resource: Resource,
    /// The beancounter that refused: the one charged, or one above it. Its
    /// `failcnt`, and no other, counts the refusal.
    pub at: UbId,
    /// How hard the charge insisted.
    pub severity: Severity,
    /// How many units were asked for.
    pub asked: u64,
    /// Units in use at `at` at that moment.
    pub held: u64,
    /// The barrier of `at`.
    pub barrier: u64,
    /// The limit of `at`.
    pub limit: u64,
}

/// Why a charge was not made. Whatever the reason, no level holds any part of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// It would have passed a threshold (OpenVZ: `-ENOMEM`).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// More than [`UNLIMITED`] at once (OpenVZ: `-EINVAL`). Not counted.
    #[error("{resource}: a charge of {asked} is above the maximum {UNLIMITED}")]
    TooLarge {
        /// What was charged.
        resource: Resource,
        /// How many units were asked for.
        asked: u64,
    },
    /// A FORCE charge would have wrapped a 64-bit counter. Not counted.
    #[error("{resource}: {asked} more than {held} do not fit the counter of {at}")]
    Full {
        /// What was charged.
        resource: Resource,
        /// The beancounter whose counter is full.
        at: UbId,
        /// How many units were asked for.
        asked: u64,
        /// Units in use there.
        held: u64,
    },
    /// The row is observed; the kernel owns its numbers. Not counted.
    #[error("{resource} of {at} is observed and cannot be charged")]
    Observed {
        /// What was charged.
        resource: Resource,
        /// The beancounter whose row is observed.
        at: UbId,
    },
}

/// More was given back than had been charged. The counters stopped at 0
/// instead of wrapping, and the beancounters concerned remember it:
/// [`Beancounter::underflowed`](crate::Beancounter::underflowed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {asked} given back to {at}, where {charged} were charged")]
pub struct Underflow {
    /// What was given back.
    pub resource: Resource,
    /// The lowest beancounter that held less.
    pub at: UbId,
    /// How many units were given back.
    pub asked: u64,
    /// How many were charged there; they are gone now.
    pub charged: u64,
}

/// Thresholds that were not set, and of which resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {reason}")]
pub struct SetLimitsError {
    /// Whose thresholds.
    pub resource: Resource,
    /// What is wrong with them.
    pub reason: LimitsError,
}

/// Why units did not move cleanly from one beancounter to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The destination did not take them; the source still has them.
    #[error(transparent)]
    Refused(#[from] ChargeError),
    /// The destination has them, but the source had fewer to give.
    #[error(transparent)]
    Underflow(#[from] Underflow),
}

impl ChargeError {
    /// The refusal, if a threshold was the reason.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            ChargeError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    #[cold]
    pub(crate) fn new(denied: Denied, at: UbId, resource: Resource, asked: u64, ask: Ask) -> Self {
        match denied {
            Denied::Over { held, limits: Limits { barrier, limit } } => {
                let severity = ask.severity;
                Refusal { resource, at, severity, asked, held, barrier, limit }.into()
            }
            Denied::TooLarge => ChargeError::TooLarge { resource, asked },
            Denied::Full { held } => ChargeError::Full { resource, at, asked, held },
            Denied::Observed => ChargeError::Observed { resource, at },
        }
    }
}

#[cfg(test)]
mod tests;
