//! `ubc mem`: vzmemcheck's and vzcalc's tables.

mod all;
mod one;

use clap::ArgMatches;
use ubc_config::Tree;
use ubc_core::memory::{Memory, Shares};
use ubc_core::{ContainerId, PageSize, PerResource, Row};
use ubc_procfs::text::parse::{Bounds, tolerant};

use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::limits::page_size;
use crate::paths::RunDir;
use crate::protocol::{Request, Response};
use crate::report;
use all::{All, table};
use one::One;

/// A container's numbers, under the name it goes by.
struct Counted {
    name: String,
    rows: PerResource<Row>,
}

/// Without a container the table of all, with one the table of that one.
pub(crate) fn mem(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let page = page_size()?;
    let memory = memory(matches, page)?;
    let json = matches.get_flag("json");
    if let Some(id) = matches.get_one::<ContainerId>("CTID") {
        let config = crate::config::of(tree, *id)?.effective();
        let counted = counted(run, matches)?;
        let current = counted.into_iter().find(|one| one.name == id.to_string());
        let configured = config.iter().any(|(_, pair)| pair.is_some());
        let promised = match (&current, configured) {
            (_, true) => super::check::rows(&config),
            (Some(current), false) => current.rows,
            (None, false) => {
                let message =
                    format!("there is no container {id} and no {}", tree.container(*id).display());
                return Err(Failure::new(Kind::NoContainer, message));
            }
        };
        let current = current.map(|one| one.rows);
        let one = One::new(current.as_ref(), &promised, (memory, threads(matches)), page);
        return crate::print(|out| {
            if json { report::json(out, &one) } else { one.text(out, matches.get_flag("verbose")) }
        });
    }
    let all = counted(run, matches)?;
    let shares: Vec<(String, Shares)> =
        all.into_iter().map(|one| (one.name, Shares::of(&one.rows, memory, page))).collect();
    crate::print(|out| {
        if json {
            report::json(out, &All::new(&shares, memory))
        } else {
            table(out, &shares, memory, matches.get_flag("verbose"), matches.get_flag("megabytes"))
        }
    })
}

/// The containers of a table somebody saved, or else those that run.
fn counted(run: &RunDir, matches: &ArgMatches) -> Result<Vec<Counted>> {
    if let Some(path) = matches.get_one::<std::path::PathBuf>("file") {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("--file {}: {error}", path.display()))
        };
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        let table = tolerant(&text, Bounds::DEFAULT).map_err(|error| wrong(&error))?;
        let blocks =
            table.blocks.into_iter().filter(|block| !block.id.is_some_and(ContainerId::is_host));
        return Ok(blocks
            .map(|block| Counted {
                name: block.uid.unwrap_or_else(|| "-".to_owned()),
                rows: PerResource::from_fn(|row| block.rows[row].unwrap_or_default()),
            })
            .collect());
    }
    crate::needs_root()?;
    let Some(mut client) = Client::connect(run)? else { return Ok(Vec::new()) };
    match client.ask(&Request::List)? {
        Response::Containers { containers } => Ok(containers
            .into_iter()
            .map(|one| Counted { name: one.id.to_string(), rows: one.reading.rows })
            .collect()),
        response => Err(unexpected(&response)),
    }
}

/// This host's memory, or the sizes told.
pub(super) fn memory(matches: &ArgMatches, page: PageSize) -> Result<Memory> {
    let here = crate::host::whole_memory();
    let size = |name: &str| -> Result<Option<u64>> {
        let Some(text) = matches.get_one::<String>(name) else { return Ok(None) };
        let memory = ubc_procfs::text::value::parse_memory(text, page)
            .map_err(|error| Failure::usage(format!("--{name}: {error}")))?;
        Ok(Some(u64::try_from(page.bytes_in(memory.pages)).unwrap_or(u64::MAX)))
    };
    let (ram, swap, low) = (size("host-ram")?, size("host-swap")?, size("host-low")?);
    Ok(Memory {
        ram: ram.unwrap_or(here.ram),
        swap: swap.unwrap_or(here.swap),
        low: low.or(ram).unwrap_or(here.low),
    })
}

/// The most threads of this host, or of the one told.
pub(super) fn threads(matches: &ArgMatches) -> u64 {
    matches.get_one::<u64>("host-threads").copied().unwrap_or_else(crate::host::threads)
}

/// What stands where a row without a limit promises everything.
const UNLIMITED: &str = "unlim";
