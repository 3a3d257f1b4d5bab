//! Rows whose truth lives in the kernel.

use crate::{Beancounter, Observation, Resource, Source, UNLIMITED, UbId};

/// What the engine has already taken over from the kernel's own counters of
/// one resource, so that nothing is counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Baseline {
    /// The last value of the kernel's failure counter.
    pub failures: u64,
    /// The last value of the kernel's peak; `None` before the first.
    pub peak: Option<u64>,
    /// The peak that belongs to the time before the last reset of `maxheld`.
    pub stale_peak: Option<u64>,
}

/// An observation that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// The row is charged: the engine owns its numbers.
    #[error("{resource} of {at} is charged and cannot be observed")]
    Charged {
        /// What was observed.
        resource: Resource,
        /// Whose row it is.
        at: UbId,
    },
    /// A use above [`UNLIMITED`] cannot be a use.
    #[error("{resource} of {at}: an observed use of {value} is above the maximum {UNLIMITED}")]
    TooLarge {
        /// What was observed.
        resource: Resource,
        /// Whose row it is.
        at: UbId,
        /// The use or peak that is too large.
        value: u64,
    },
}

impl Baseline {
    /// A new period begins: the peak so far is of the old one.
    pub(crate) fn forget_peak(&mut self) {
        self.stale_peak = self.peak;
    }

    /// The part of a kernel peak that is news in this period.
    ///
    /// The kernel's peak only grows, or starts anew with a new cgroup. So the
    /// very value known before the reset is the old maximum; any other is
    /// from a time nobody has reported yet, and counts.
    fn fresh_peak(&mut self, peak: u64) -> Option<u64> {
        self.peak = Some(peak);
        if self.stale_peak == Some(peak) {
            return None;
        }
        self.stale_peak = None;
        Some(peak)
    }

    /// How many refusals the kernel counted since the last look. A counter
    /// that fell has started again from 0 (its cgroup was made anew).
    fn fresh_failures(&mut self, failures: u64) -> u64 {
        let before = core::mem::replace(&mut self.failures, failures);
        failures.checked_sub(before).unwrap_or(failures)
    }
}

impl Beancounter {
    /// Takes over what a meter saw of a resource that the kernel counts.
    ///
    /// `held` becomes what was seen; `maxheld` follows it and the kernel's
    /// peak, but a peak from before the last reset does not bring the old
    /// maximum back; `failcnt` grows by what the kernel counted since the
    /// last observation, and never falls. What the meter could not tell
    /// (`None`) stays as it was. Only this level: the meter of a parent sees
    /// its children by itself.
    ///
    /// The first use of a row decides whether it is observed or charged; see
    /// [`Source`]. A peak that rose between the last observation and a reset
    /// counts in the new period: observe right before resetting.
    ///
    /// # Errors
    ///
    /// The row is charged, or a use is above [`UNLIMITED`]; nothing has
    /// changed then.
    pub fn observe(&self, resource: Resource, seen: Observation) -> Result<(), ObserveError> {
        let at = self.id();
        if let Some(value) = [seen.held, seen.peak].into_iter().flatten().find(|v| *v > UNLIMITED) {
            return Err(ObserveError::TooLarge { resource, at, value });
        }
        self.with_baselines(|baselines| {
            let counter = self.counter(resource);
            if !counter.claim(Source::Observed) {
                return Err(ObserveError::Charged { resource, at });
            }
            let baseline = &mut baselines[resource];
            let peak = seen.peak.and_then(|peak| baseline.fresh_peak(peak));
            counter.record(seen.held, peak);
            if let Some(failures) = seen.failures {
                counter.count_refusals(baseline.fresh_failures(failures));
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
