//! Limits as the command line gives them.

use clap::ArgMatches;
use log::warn;
use ubc_core::vswap::{Overcommit, Vswap};
use ubc_core::{Limits, PageSize, PerResource, Resource};
pub(crate) use ubc_node::shown_limits as shown;
use ubc_procfs::text::value::{parse_limits, parse_memory};

use crate::error::{Failure, Kind, Result};
use crate::protocol::Wanted;

/// The limits among the options: all of them good, or an error that names the
/// first that is not.
pub(crate) fn wanted(matches: &ArgMatches) -> Result<Wanted> {
    let mut wanted: Wanted = PerResource::default();
    for resource in Resource::ALL {
        if let Some(value) = matches.get_one::<String>(resource.name()) {
            wanted[resource] = Some(one(resource, value)?);
        }
    }
    if let Some(vswap) = vswap(matches)? {
        // What is said by name beats what only follows.
        for (resource, implied) in vswap.limits().iter() {
            wanted[resource] = wanted[resource].or(*implied);
        }
    }
    Ok(wanted)
}

/// The sizes of `--ram` and `--swap`: no swap unless some is given.
fn vswap(matches: &ArgMatches) -> Result<Option<Vswap>> {
    let size = |name: &str| -> Result<Option<u64>> {
        let Some(value) = matches.get_one::<String>(name) else { return Ok(None) };
        let memory = parse_memory(value, page_size()?)
            .map_err(|error| Failure::usage(format!("--{name}: {error}")))?;
        if memory.clamped {
            warn!("--{name}: {value} is above the maximum and means unlimited");
        }
        Ok(Some(memory.pages))
    };
    let Some(ram) = size("ram")? else { return Ok(None) };
    let overcommit = match matches.get_one::<String>("vm_overcommit") {
        Some(value) => Overcommit::parse(value)
            .map_err(|error| Failure::usage(format!("--vm_overcommit {value}: {error}")))?,
        None => None,
    };
    Ok(Some(Vswap { ram, swap: size("swap")?.unwrap_or(0), overcommit }))
}

pub(crate) fn page_size() -> Result<PageSize> {
    PageSize::new(rustix::param::page_size() as u64)
        .map_err(|error| Failure::new(Kind::Software, error))
}

fn one(resource: Resource, value: &str) -> Result<Limits> {
    let setting = parse_limits(value, resource.unit(), page_size()?)
        .map_err(|error| Failure::usage(format!("--{resource}: {error}")))?;
    if setting.clamped {
        warn!("--{resource}: {value} is above the maximum and means unlimited");
    }
    Ok(setting.limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(line: &[&str]) -> Result<Wanted> {
        let line = [&["ubc", "set", "101"], line].concat();
        let matches = crate::cli::command().try_get_matches_from(line).unwrap();
        wanted(matches.subcommand_matches("set").unwrap())
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
    fn sizes_that_are_none_are_refused_by_name() {
        for line in [&["--ram", "5x"][..], &["--ram", "1G", "--vm_overcommit", "x"]] {
            let error = from(line).unwrap_err();
            assert!(error.message.starts_with("--"), "{error}");
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
