//! Shares and limits of CPU time.

use super::Processors;
use crate::{Error, Result};

/// The period of `cpu.max`, in microseconds: the kernel's default.
pub(super) const PERIOD: u64 = 100_000;

/// The least quota the kernel takes, in microseconds.
const LEAST_QUOTA: u64 = 1000;

/// The most it takes: kernel/sched/core.c, MAX_BW.
const MOST_QUOTA: u64 = (1 << 44) - 1;

/// The relative share of a container, 8..=500000; OpenVZ's default is 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuUnits(u32);

impl CpuUnits {
    /// What a container has that was given none.
    pub const DEFAULT: CpuUnits = CpuUnits(1000);

    /// `None` outside 8..=500000, vzctl's bounds.
    pub const fn new(units: u32) -> Option<CpuUnits> {
        if 8 <= units && units <= 500_000 { Some(CpuUnits(units)) } else { None }
    }

    /// The units.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// `cpu.weight`, 1..=10000: a tenth of the units, as libvzctl writes it,
    /// so that the default of one is the default of the other (100). Below
    /// 20 units all weigh 1, above 100000 all weigh 10000.
    pub fn weight(self) -> u32 {
        (self.0 / 10).clamp(1, 10_000)
    }
}

/// The most CPU time a container gets, even if nobody else wants any. An
/// amount of 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CpuLimit {
    /// No limit.
    #[default]
    Unlimited,
    /// Percent of one CPU: 200 are two CPUs.
    Percent(u32),
    /// Percent of all CPUs of the node together.
    NodePercent(u32),
    /// Cycles, in units of 1,000,000 a second.
    Megahertz(u32),
}

impl CpuLimit {
    /// Whether it limits nothing.
    pub const fn is_unlimited(self) -> bool {
        matches!(
            self,
            CpuLimit::Unlimited
                | CpuLimit::Percent(0)
                | CpuLimit::NodePercent(0)
                | CpuLimit::Megahertz(0)
        )
    }

    /// Microseconds of CPU time in each period of 100000; `None` is no limit.
    /// Less than the kernel's least (1 % of a CPU) is 1 %.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFrequency`]: MHz on a machine that does not tell its
    /// own.
    pub fn quota(self, node: Processors) -> Result<Option<u64>> {
        if self.is_unlimited() {
            return Ok(None);
        }
        let percent = PERIOD / 100;
        let quota = match self {
            CpuLimit::Unlimited => return Ok(None),
            CpuLimit::Percent(of_one) => u64::from(of_one) * percent,
            CpuLimit::NodePercent(of_node) => {
                (u64::from(of_node) * percent).saturating_mul(u64::from(node.online))
            }
            CpuLimit::Megahertz(mhz) => {
                let own = node.megahertz.ok_or(Error::UnknownFrequency)?;
                // A whole number is asked for; the nearest to the truth.
                let own = u64::from(own.get());
                (u64::from(mhz) * PERIOD + own / 2) / own
            }
        };
        Ok(Some(quota.clamp(LEAST_QUOTA, MOST_QUOTA)))
    }
}

/// `cpu.max` for both a limit and a number of CPUs (0: all): the lower one.
pub(super) fn max(limit: CpuLimit, cpus: u32, node: Processors) -> Result<String> {
    let whole = (cpus > 0).then(|| u64::from(cpus) * PERIOD);
    let quota = match (limit.quota(node)?, whole) {
        (Some(limit), Some(whole)) => Some(limit.min(whole)),
        (limit, whole) => limit.or(whole),
    };
    Ok(match quota {
        Some(quota) => format!("{} {PERIOD}", quota.min(MOST_QUOTA)),
        None => format!("max {PERIOD}"),
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::{CpuLimit, CpuUnits, max};
    use crate::{Error, Processors};

    const NODE: Processors = Processors { online: 4, megahertz: NonZeroU32::new(2500) };

    fn cpu_max(limit: CpuLimit, cpus: u32) -> String {
        max(limit, cpus, NODE).unwrap()
    }

    #[test]
    fn no_units_give_a_weight_the_kernel_refuses() {
        let weight = |units| CpuUnits::new(units).map(CpuUnits::weight);
        assert_eq!(weight(7), None);
        assert_eq!(weight(8), Some(1));
        assert_eq!(weight(19), Some(1));
        assert_eq!(weight(20), Some(2));
        assert_eq!(weight(1000), Some(100), "default is default");
        assert_eq!(weight(100_000), Some(10_000));
        assert_eq!(weight(500_000), Some(10_000));
        assert_eq!(weight(500_001), None);
        assert_eq!(CpuUnits::DEFAULT.get(), 1000);
    }

    #[test]
    fn each_way_to_write_half_a_node_is_the_same_half() {
        for half in [CpuLimit::Percent(200), CpuLimit::NodePercent(50), CpuLimit::Megahertz(5000)] {
            assert_eq!(cpu_max(half, 0), "200000 100000", "{half:?}");
        }
        assert_eq!(cpu_max(CpuLimit::Megahertz(1), 0), "1000 100000", "40 us are too few");
        assert_eq!(cpu_max(CpuLimit::Percent(1), 0), "1000 100000");
    }

    #[test]
    fn zero_is_no_limit_and_not_none_at_all() {
        for none in [
            CpuLimit::Unlimited,
            CpuLimit::Percent(0),
            CpuLimit::NodePercent(0),
            CpuLimit::Megahertz(0),
        ] {
            assert_eq!(cpu_max(none, 0), "max 100000", "{none:?}");
            assert_eq!(cpu_max(none, 2), "200000 100000", "{none:?}");
        }
    }

    #[test]
    fn the_lower_of_cpulimit_and_cpus_counts() {
        assert_eq!(cpu_max(CpuLimit::Percent(150), 1), "100000 100000");
        assert_eq!(cpu_max(CpuLimit::Percent(150), 2), "150000 100000");
    }

    #[test]
    fn the_largest_numbers_stay_below_what_the_kernel_takes() {
        let node = Processors { online: u32::MAX, megahertz: NonZeroU32::new(1) };
        let most = "17592186044415 100000";
        assert_eq!(max(CpuLimit::NodePercent(u32::MAX), 0, node).unwrap(), most);
        assert_eq!(max(CpuLimit::Megahertz(u32::MAX), 0, node).unwrap(), most);
        assert_eq!(max(CpuLimit::Unlimited, u32::MAX, node).unwrap(), most);
        assert_eq!(cpu_max(CpuLimit::Percent(u32::MAX), 0), "4294967295000 100000");
    }

    #[test]
    fn mhz_of_an_unknown_machine_are_refused_not_guessed() {
        let node = Processors { online: 1, megahertz: None };
        assert!(matches!(CpuLimit::Megahertz(5).quota(node), Err(Error::UnknownFrequency)));
        assert!(CpuLimit::Megahertz(0).quota(node).unwrap().is_none());
        assert!(CpuLimit::Percent(5).quota(node).is_ok());
    }
}
