//! Limits as the command line gives them.

use clap::ArgMatches;
use log::warn;
use ubc_config::{Config, Switch};
use ubc_core::vswap::Overcommit;
use ubc_core::{Limits, PageSize, Resource, Unit};
pub(crate) use ubc_node::shown_limits as shown;
use ubc_procfs::text::value::{parse_limits, parse_memory};

use crate::config::over;
use crate::error::{Failure, Kind, Result};
use crate::protocol::Wanted;
use crate::schedule;

/// Where limits and knobs are given by the names they have on the command line.
pub(crate) trait Given {
    /// The value of an option, if it is given.
    fn value(&self, name: &str) -> Option<&str>;

    /// What a message calls it.
    fn label(&self, name: &str) -> String;
}

impl Given for ArgMatches {
    fn value(&self, name: &str) -> Option<&str> {
        // Not every command has every option.
        self.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    fn label(&self, name: &str) -> String {
        format!("--{name}")
    }
}

/// What the command line, or an annotation, says of a container.
#[derive(Debug)]
pub(crate) struct Change {
    /// As a file would say it.
    pub(crate) config: Config,
    /// It has `ram`, `swap` or `vm_overcommit`.
    pub(crate) sized: bool,
}

impl Change {
    /// Reads all of it, or an error that names the first option that is wrong.
    /// `known` says what RAM and swap the container has, for an option that
    /// leaves one of them unsaid.
    pub(crate) fn from(
        given: &impl Given,
        known: impl FnOnce() -> Result<Config>,
    ) -> Result<Change> {
        let mut config = Config { schedule: schedule::wanted(given)?, ..Config::default() };
        for resource in Resource::ALL {
            config.limits[resource] = one(given, resource.name(), resource.unit())?;
        }
        config.avnumproc = one(given, "avnumproc", Unit::Count)?.map(|limits| limits.barrier);
        let sized = size(&mut config, given, known)?;
        Ok(Change { config, sized })
    }

    /// The limits to apply, on top of what is configured.
    pub(crate) fn over(&self, base: Config) -> Wanted {
        let implied = self.sized || base.vswap().is_some();
        let config = over(self.config.clone(), base, self.sized);
        if implied { config.effective() } else { config.limits }
    }
}

/// Takes in RAM, swap and overcommit, if any of them is there.
fn size(
    config: &mut Config,
    given: &impl Given,
    known: impl FnOnce() -> Result<Config>,
) -> Result<bool> {
    let pages = |name: &str| -> Result<Option<u64>> {
        let Some(value) = given.value(name) else { return Ok(None) };
        let label = given.label(name);
        let memory = parse_memory(value, page_size()?)
            .map_err(|error| Failure::usage(format!("{label}: {error}")))?;
        if memory.clamped {
            warn!("{label}: {value} is above the maximum and means unlimited");
        }
        Ok(Some(memory.pages))
    };
    let (ram, swap) = (pages("ram")?, pages("swap")?);
    let overcommit = given.value("vm_overcommit").map(|value| {
        let label = given.label("vm_overcommit");
        Overcommit::parse(value)
            .map_err(|error| Failure::usage(format!("{label} {value}: {error}")))
    });
    let overcommit = overcommit.transpose()?;
    if ram.is_none() && swap.is_none() && overcommit.is_none() {
        return Ok(false);
    }
    let known = known()?;
    let had = known.vswap();
    let Some(ram) = ram.or(had.map(|had| had.ram)) else {
        let [ram, swap, overcommit] = ["ram", "swap", "vm_overcommit"].map(|n| given.label(n));
        let message =
            format!("{swap} and {overcommit} need {ram}, or a container that has RAM set");
        return Err(Failure::usage(message));
    };
    // No swap unless some is given.
    let swap = swap.or(had.map(|had| had.swap)).unwrap_or(0);
    for (row, limit) in [(Resource::PhysPages, ram), (Resource::SwapPages, swap)] {
        // What is said by name beats what only follows.
        config.limits[row] = config.limits[row].or(Some(Limits { barrier: 0, limit }));
    }
    config.overcommit = overcommit.map(Switch::from).or(known.overcommit);
    Ok(true)
}

pub(crate) fn page_size() -> Result<PageSize> {
    PageSize::new(rustix::param::page_size() as u64)
        .map_err(|error| Failure::new(Kind::Software, error))
}

fn one(given: &impl Given, name: &str, unit: Unit) -> Result<Option<Limits>> {
    let Some(value) = given.value(name) else { return Ok(None) };
    let label = given.label(name);
    let setting = parse_limits(value, unit, page_size()?)
        .map_err(|error| Failure::usage(format!("{label}: {error}")))?;
    if setting.clamped {
        warn!("{label}: {value} is above the maximum and means unlimited");
    }
    Ok(Some(setting.limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(line: &[&str]) -> Result<Wanted> {
        let line = [&["ubc", "set", "101"], line].concat();
        let matches = crate::cli::command().try_get_matches_from(line).unwrap();
        let matches = matches.subcommand_matches("set").unwrap();
        let change = Change::from(matches, || Ok(Config::default()))?;
        Ok(change.over(Config::default()))
    }

    #[test]
    fn ram_and_swap_imply_what_vzctl_implies_and_a_named_row_beats_it() {
        let page = rustix::param::page_size() as u64;
        let limits = from(&["--ram", "256M", "--swap", "512M", "--lockedpages", "7"]).unwrap();
        let (ram, swap) = ((256 << 20) / page, (512 << 20) / page);
        let pair = |barrier, limit| Some(Limits { barrier, limit });
        assert_eq!(limits[Resource::PhysPages], pair(0, ram));
        assert_eq!(limits[Resource::SwapPages], pair(0, swap));
        assert_eq!(limits[Resource::OomGuarPages], pair(ram, ubc_core::UNLIMITED));
        assert_eq!(limits[Resource::VmGuarPages], pair(ram + swap, ubc_core::UNLIMITED));
        assert_eq!(limits[Resource::LockedPages], pair(7, 7));
        assert_eq!(limits[Resource::NumProc], None);
    }

    #[test]
    fn one_size_of_two_keeps_the_other() {
        let line = ["ubc", "set", "101", "--swap", "1M", "--numproc", "5"];
        let matches = crate::cli::command().try_get_matches_from(line).unwrap();
        let matches = matches.subcommand_matches("set").unwrap();
        let mut known = Config::default();
        let pair = |barrier, limit| Some(Limits { barrier, limit });
        known.limits[Resource::PhysPages] = pair(0, 1000);
        known.limits[Resource::LockedPages] = pair(7, 7);
        let change = Change::from(matches, || Ok(known.clone())).unwrap();
        assert_eq!(change.config.limits[Resource::PhysPages], pair(0, 1000));
        let limits = change.over(known);
        let swap = (1 << 20) / page_size().unwrap().bytes();
        assert_eq!(limits[Resource::SwapPages], pair(0, swap));
        assert_eq!(limits[Resource::LockedPages], pair(1000, 1000), "it follows from RAM");
        assert_eq!(limits[Resource::NumProc], pair(5, 5));
    }

    #[test]
    fn sizes_that_are_none_are_refused_by_name() {
        for line in [
            &["--ram", "5x"][..],
            &["--ram", "1G", "--vm_overcommit", "x"],
            &["--swap", "1G"],
            &["--vm_overcommit", "2"],
        ] {
            let error = from(line).unwrap_err();
            assert!(error.message.starts_with("--"), "{error}");
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
