//! Limits that break rules, raised until they break none.

use super::classic::{ONE_VALUE, TWO_VALUES};
use super::{Config, check};
use super::{Level, Rule};
use crate::vswap::Vswap;
use crate::{Limits, PerResource, Resource, UNLIMITED};

/// The limits with every error and warning repaired that can be.
///
/// A repair takes nothing away: thresholds only rise, a gap between barrier and
/// limit stays at least as wide, and what is not set stays so. Two exceptions
/// have no effect on what a container may use: the barrier of physpages and
/// swappages, which becomes 0 (rules 3 and 13), and what is above its limit
/// already (rule 2), where the limit rises. Recommendations are left alone, and
/// so is what only a larger host could repair (rules 14 and 15).
///
/// # Examples
///
/// ```
/// use ubc_core::profiles::VE_BASIC;
/// use ubc_core::rules::{Config, check, repair};
/// use ubc_core::{Limits, Resource};
///
/// let mut config = Config::new(VE_BASIC.limits());
/// config.limits[Resource::NumTcpSock] = Some(Limits::both(1000)?);
/// config.limits = repair(&config);
/// assert!(check(&config).is_empty());
/// assert_eq!(
///     config.limits[Resource::TcpSndBuf],
///     Some(Limits::new(1_720_320, 1_720_320 + 2560 * 1000)?)
/// );
/// # Ok::<(), ubc_core::LimitsError>(())
/// ```
pub fn repair(config: &Config) -> PerResource<Option<Limits>> {
    let mut repair = Repair { config: *config };
    if Vswap::recognise(&config.limits) {
        repair.vswap();
    } else {
        repair.classic();
    }
    debug_assert!(check(&repair.config).iter().all(|finding| {
        finding.level == Level::Recommendation
            || matches!(finding.rule, Rule::VswapWithinHost | Rule::OneContainerOfMany)
    }));
    repair.config.limits
}

struct Repair {
    config: Config,
}

impl Repair {
    fn vswap(&mut self) {
        for row in [Resource::PhysPages, Resource::SwapPages] {
            if let Some(pair) = &mut self.config.limits[row] {
                pair.barrier = 0;
            }
        }
    }

    /// Each step raises only what later steps depend on.
    fn classic(&mut self) {
        // Rules 1 and 2.
        for row in ONE_VALUE {
            if let Some(pair) = &mut self.config.limits[row] {
                let larger = pair.barrier.max(pair.limit);
                *pair = Limits { barrier: larger, limit: larger };
            }
        }
        for row in TWO_VALUES {
            if let Some(pair) = &mut self.config.limits[row] {
                pair.limit = pair.limit.max(pair.barrier);
            }
        }
        // Rule 3.
        for row in [Resource::VmGuarPages, Resource::OomGuarPages, Resource::PhysPages] {
            if let Some(pair) = &mut self.config.limits[row] {
                pair.limit = UNLIMITED;
                if row == Resource::PhysPages {
                    pair.barrier = 0;
                }
            }
        }
        self.files();
        self.kernel_memory();
        // Rule 6.
        if let Some(promise) = self.barrier(Resource::VmGuarPages) {
            self.raise_barrier(Resource::PrivvmPages, promise.into());
        }
        // Rules 10 and 11, before the gaps above them.
        for row in [Resource::TcpRcvBuf, Resource::TcpSndBuf] {
            self.raise_barrier(row, 64 << 10);
        }
        for row in [Resource::DgramRcvBuf, Resource::OtherSockBuf] {
            self.raise_barrier(row, 32 << 10);
        }
        // Rules 7, 8 and 9.
        for (buffer, sockets) in [
            (Resource::TcpSndBuf, Resource::NumTcpSock),
            (Resource::OtherSockBuf, Resource::NumOtherSock),
            (Resource::TcpRcvBuf, Resource::NumTcpSock),
        ] {
            if let (Some(count), Some(pair)) =
                (self.barrier(sockets), &mut self.config.limits[buffer])
            {
                let need = u128::from(pair.barrier) + 2560 * u128::from(count);
                pair.limit = pair.limit.max(clamp(need));
            }
        }
    }

    /// Rule 12.
    fn files(&mut self) {
        let processes = self.config.expected_processes().unwrap_or(0);
        let users = [Resource::NumTcpSock, Resource::NumOtherSock, Resource::NumPty];
        let others: u128 =
            users.into_iter().filter_map(|row| self.barrier(row)).map(u128::from).sum();
        self.raise_barrier(Resource::NumFile, others.max(32 * u128::from(processes)));
    }

    /// Rules 4 and 5.
    fn kernel_memory(&mut self) {
        if let (Some(files), Some(pair)) =
            (self.barrier(Resource::NumFile), &mut self.config.limits[Resource::DcacheSize])
        {
            pair.limit = pair.limit.max(clamp(384 * u128::from(files)));
        }
        let dcache = self.config.limits[Resource::DcacheSize].map(|pair| pair.limit);
        if let (Some(processes), Some(dcache)) = (self.config.expected_processes(), dcache) {
            let need = 40_960 * u128::from(processes) + u128::from(dcache);
            self.raise_barrier(Resource::KmemSize, need);
        }
    }

    fn barrier(&self, row: Resource) -> Option<u64> {
        self.config.limits[row].map(|pair| pair.barrier)
    }

    /// Raises a barrier to at least this, and the limit by as much.
    fn raise_barrier(&mut self, row: Resource, least: u128) {
        let Some(pair) = &mut self.config.limits[row] else { return };
        let barrier = pair.barrier.max(clamp(least));
        let limit = u128::from(pair.limit) + u128::from(barrier - pair.barrier);
        *pair = Limits { barrier, limit: clamp(limit) };
    }
}

/// A need as a threshold: what is above the maximum is no limit.
fn clamp(amount: u128) -> u64 {
    crate::page::clamp(amount)
}

#[cfg(test)]
mod tests;
