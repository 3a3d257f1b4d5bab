//! `ubc mem`: vzmemcheck's and vzcalc's tables.

use std::io::Write;

use clap::ArgMatches;
use serde::Serialize;
use ubc_config::Tree;
use ubc_core::memory::{Memory, Share, Shares};
use ubc_core::{ContainerId, PageSize, PerResource, Resource, Row};
use ubc_procfs::text::parse::{Bounds, tolerant};

use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::limits::page_size;
use crate::paths::RunDir;
use crate::protocol::{Request, Response};
use crate::report;

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

/// vzmemcheck's table.
fn table(
    out: &mut dyn Write,
    all: &[(String, Shares)],
    memory: Memory,
    verbose: bool,
    megabytes: bool,
) -> std::io::Result<()> {
    let unit = if megabytes { "Mbytes" } else { "%" };
    let margin = if verbose { " ".repeat(11) } else { String::new() };
    let head = if verbose { "CTID       " } else { "" };
    writeln!(out, "Output values in {unit}")?;
    writeln!(out, "{head} LowMem  LowMem     RAM MemSwap MemSwap   Alloc   Alloc   Alloc")?;
    writeln!(out, "{margin}   util  commit    util    util  commit    util  commit   limit")?;
    let line = |shares: &Shares| {
        let values = shares.columns().map(|share| {
            if share.is_unlimited() {
                return format!("{UNLIMITED:>7}");
            }
            let value = if megabytes { share.mebibytes() } else { share.percent() };
            format!("{value:7.2}")
        });
        values.join(" ")
    };
    let mut sum = Shares::none(memory);
    for (name, shares) in all {
        if verbose {
            writeln!(out, "{name:<10} {}", line(shares))?;
        }
        sum += *shares;
    }
    if verbose {
        writeln!(out, "{}", "-".repeat(74))?;
        write!(out, "Summary:   ")?;
    }
    writeln!(out, "{}", line(&sum))?;
    if megabytes {
        let wholes = sum
            .columns()
            .map(|share| format!("{:7.2}", Share { part: share.whole, ..share }.mebibytes()));
        writeln!(out, "{margin}{}", wholes.join(" "))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct All<'a> {
    ram: u64,
    swap: u64,
    low: u64,
    containers: Vec<Percents<'a>>,
    total: Percents<'a>,
}

/// In percent, as the table; null for what is not limited.
#[derive(Serialize)]
struct Percents<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    low_used: Option<f64>,
    low_committed: Option<f64>,
    ram_used: Option<f64>,
    swap_used: Option<f64>,
    swap_committed: Option<f64>,
    allocated_used: Option<f64>,
    allocated_committed: Option<f64>,
    allocated_limit: Option<f64>,
}

impl<'a> All<'a> {
    fn new(all: &'a [(String, Shares)], memory: Memory) -> All<'a> {
        let mut sum = Shares::none(memory);
        for (_, shares) in all {
            sum += *shares;
        }
        let containers = all.iter().map(|(id, shares)| Percents::new(Some(id), shares)).collect();
        let Memory { ram, swap, low } = memory;
        All { ram, swap, low, containers, total: Percents::new(None, &sum) }
    }
}

impl<'a> Percents<'a> {
    fn new(id: Option<&'a str>, shares: &Shares) -> Percents<'a> {
        Percents {
            id,
            low_used: percent(shares.low_used),
            low_committed: percent(shares.low_committed),
            ram_used: percent(shares.ram_used),
            swap_used: percent(shares.swap_used),
            swap_committed: percent(shares.swap_committed),
            allocated_used: percent(shares.allocated_used),
            allocated_committed: percent(shares.allocated_committed),
            allocated_limit: percent(shares.allocated_limit),
        }
    }
}

fn percent(share: Share) -> Option<f64> {
    (!share.is_unlimited()).then(|| share.percent())
}

/// vzcalc's table of one container: percent now, promised and at most.
#[derive(Serialize)]
struct One {
    rows: [Line; 5],
    memory: Line,
}

/// A line of it; none where the formula has none, or the container does not run,
/// and infinite, in JSON null, where a row without a limit promises everything.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    current: Option<f64>,
    promised: Option<f64>,
    max: Option<f64>,
}

impl One {
    fn new(
        current: Option<&PerResource<Row>>,
        promised: &PerResource<Row>,
        (memory, threads): (Memory, u64),
        page: PageSize,
    ) -> One {
        let now = current.map(|rows| Shares::of(rows, memory, page));
        let then = Shares::of(promised, memory, page);
        let held = |pick: fn(&Shares) -> Share| now.as_ref().map(|now| pick(now).percent());
        let threads = u128::from(threads);
        let processes = |count: u64| Share { part: count.into(), whole: threads }.percent();
        // As large as it gets, so that the most of all is this too.
        let most_of =
            |share: Share| Some(if share.is_unlimited() { f64::INFINITY } else { share.percent() });
        let line = |name, current, promised, max| Line { name, current, promised, max };
        let low = most_of(then.low_committed);
        let rows = [
            line("Low Mem", held(|now| now.low_used), low, low),
            line("Total RAM", held(|now| now.ram_used), None, None),
            line("Mem + Swap", held(|now| now.swap_used), most_of(then.swap_committed), None),
            line(
                "Alloc. Mem",
                held(|now| now.allocated_used),
                most_of(then.allocated_committed),
                most_of(then.allocated_limit),
            ),
            line(
                "Num. Proc",
                current.map(|rows| processes(rows[Resource::NumProc].held)),
                None,
                most_of(Share { part: promised[Resource::NumProc].barrier.into(), whole: threads }),
            ),
        ];
        let most = |pick: fn(&Line) -> Option<f64>| rows.iter().filter_map(pick).reduce(f64::max);
        let all = line("Memory", most(|l| l.current), most(|l| l.promised), most(|l| l.max));
        One { rows, memory: all }
    }

    fn text(&self, out: &mut dyn Write, verbose: bool) -> std::io::Result<()> {
        let cell = |value: Option<f64>| match value {
            None => "n/a".to_owned(),
            Some(f64::INFINITY) => UNLIMITED.to_owned(),
            Some(value) => format!("{value:.2}"),
        };
        writeln!(out, "Resource     Current(%)  Promised(%)  Max(%)")?;
        let mut line = |Line { name, current, promised, max }: &Line| {
            let (current, promised, max) = (cell(*current), cell(*promised), cell(*max));
            writeln!(out, "{name:<10} {current:>10} {promised:>10} {max:>10}")
        };
        if verbose {
            self.rows.iter().try_for_each(&mut line)?;
        }
        line(&self.memory)
    }
}
