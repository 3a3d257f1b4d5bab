//! The machine's CPUs, as far as limits need them.

use std::num::NonZeroU32;

use crate::{Error, Result, files, parse};

/// How many CPUs a machine has, and how fast they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processors {
    /// CPUs online.
    pub online: u32,
    /// Their speed, where the machine tells it.
    pub megahertz: Option<NonZeroU32>,
}

impl Processors {
    /// Looks at `/sys/devices/system/cpu`. The speed is the first CPU's
    /// highest (cpufreq), else what `/proc/cpuinfo` says of it now.
    ///
    /// # Errors
    ///
    /// No list of CPUs in sysfs.
    pub fn probe() -> Result<Processors> {
        const ONLINE: &str = "/sys/devices/system/cpu/online";
        const HIGHEST: &str = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
        let list =
            parse::ids(&files::read_path(ONLINE)?).map_err(|error| Error::parse(ONLINE, error))?;
        let highest = || {
            let kilohertz = parse::limit(&files::read_path(HIGHEST).ok()?).ok()??;
            u32::try_from(kilohertz / 1000).ok()
        };
        let current = || parse::megahertz(&files::read_path("/proc/cpuinfo").ok()?);
        Ok(Processors {
            // At most 8192.
            online: u32::try_from(list.len()).unwrap_or(1).max(1),
            megahertz: highest().or_else(current).and_then(NonZeroU32::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Processors;

    #[test]
    fn this_machine_has_a_processor() {
        let node = Processors::probe().unwrap();
        assert!((1..=8192).contains(&node.online));
        if let Some(mhz) = node.megahertz {
            assert!((10..100_000).contains(&mhz.get()), "{mhz} is no speed in MHz");
        }
    }
}
