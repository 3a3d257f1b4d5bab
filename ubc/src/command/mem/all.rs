//! vzmemcheck's table: all containers.

use std::io::Write;

use serde::Serialize;
use ubc_core::memory::{Memory, Share, Shares};

use super::UNLIMITED;

/// vzmemcheck's table.
pub(super) fn table(
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

/// The same for programs.
#[derive(Serialize)]
pub(super) struct All<'a> {
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
    pub(super) fn new(all: &'a [(String, Shares)], memory: Memory) -> All<'a> {
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
