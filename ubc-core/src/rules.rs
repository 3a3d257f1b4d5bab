//! Consistency of a configuration: limits that contradict each other let
//! operations fail in the middle, connections hang and guarantees lie.
//!
//! [`repair`] raises what is too low. The rules are those of `vzcfgvalidate` (vzctl `src/validate.c`), whose
//! numbers in our table they keep, and one of OpenVZ's page
//! "UBC systemwide configuration". They are advice to whoever writes limits:
//! the engine enforces any limits, consistent or not.
//!
//! What is not set is not judged; [`missing`] lists what OpenVZ's tools
//! insist on. All sums and products are exact, where vzctl's wrapped, and a
//! resource without a limit is never too small.
//!
//! # Examples
//!
//! ```
//! use ubc_core::profiles::VE_BASIC;
//! use ubc_core::rules::{Config, Level, Rule, check};
//! use ubc_core::{Limits, Resource};
//!
//! let mut config = Config::new(VE_BASIC.limits());
//! config.avnumproc = Some(VE_BASIC.avnumproc);
//! assert!(check(&config).is_empty());
//!
//! config.limits[Resource::NumTcpSock] = Some(Limits::both(1000)?);
//! let findings = check(&config);
//! assert_eq!(findings[0].rule, Rule::TcpSendGap);
//! assert_eq!(findings[0].level, Level::Error);
//! assert_eq!(
//!     findings[0].message,
//!     "tcpsndbuf: limit 2703360 - barrier 1720320 = 983040 is below \
//!      2560 x numtcpsock 1000 = 2560000"
//! );
//! # Ok::<(), ubc_core::LimitsError>(())
//! ```

use alloc::vec::Vec;

use crate::vswap::Vswap;
use crate::{Limits, PageSize, PerResource, Resource};

mod classic;
mod finding;
mod repair;
mod rule;
mod vswap;

pub use finding::{Finding, Level};
pub use repair::repair;
pub use rule::Rule;

/// The memory of the host a configuration is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostMemory {
    /// RAM, in bytes.
    pub ram: u64,
    /// Swap, in bytes.
    pub swap: u64,
}

/// A configuration to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The limits; `None` for what is not set.
    pub limits: PerResource<Option<Limits>>,
    /// How many processes are expected on average (`AVNUMPROC`). `None`: half
    /// the barrier of numproc.
    pub avnumproc: Option<u64>,
    /// The machine's page size.
    pub page: PageSize,
    /// The host's memory. `None`: rules that need it do not apply.
    pub host: Option<HostMemory>,
}

impl Config {
    /// Limits for a machine with pages of 4096 bytes and unknown memory.
    pub const fn new(limits: PerResource<Option<Limits>>) -> Config {
        Config { limits, avnumproc: None, page: PageSize::DEFAULT, host: None }
    }

    /// How many processes to expect: given, or half of numproc.
    fn expected_processes(&self) -> Option<u64> {
        self.avnumproc.or_else(|| self.limits[Resource::NumProc].map(|numproc| numproc.barrier / 2))
    }
}

/// Every rule the configuration breaks, in order of rule number.
///
/// A VSwap configuration (see [`Vswap::recognise`]) is judged by rules 13 and
/// 14 only: what it does not say follows from RAM and swap. Any other by the
/// rest.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if Vswap::recognise(&config.limits) {
        vswap::check(config, &mut findings);
    } else {
        classic::check(config, &mut findings);
    }
    findings
}

/// The resources a configuration leaves unset although OpenVZ's tools refuse
/// to start a container without them: physpages and swappages with VSwap, all
/// but swappages without.
pub fn missing(limits: &PerResource<Option<Limits>>) -> Vec<Resource> {
    let vswap = Vswap::recognise(limits);
    let required = |resource| match resource {
        Resource::PhysPages => true,
        Resource::SwapPages => vswap,
        _ => !vswap,
    };
    limits
        .iter()
        .filter(|&(resource, pair)| pair.is_none() && required(resource))
        .map(|(resource, _)| resource)
        .collect()
}

#[cfg(test)]
mod tests;
