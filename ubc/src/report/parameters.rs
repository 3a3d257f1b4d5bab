//! `ubc parameters`: what is true of each parameter on any machine.

use std::io::{self, Write};

use ubc_cgroup::{RowStatus, expected};
use ubc_core::{PerResource, Resource};

use super::table::{Style, Table};
use crate::error::Result;

const HEADS: [&str; 5] =
    ["parameter", "unit", "metered by", "metered without controllers by", "enforced by"];

/// Prints the table; as markdown it is the README's.
pub(crate) fn parameters(markdown: bool) -> Result<()> {
    let with = expected(&["memory", "pids"]);
    let without = expected(&[]);
    crate::print(|out| {
        let rows = Resource::ALL.map(|resource| cells(resource, &with, &without));
        if markdown { as_markdown(out, &rows) } else { as_text(out, rows) }
    })
}

fn cells(
    resource: Resource,
    with: &PerResource<RowStatus>,
    without: &PerResource<RowStatus>,
) -> [String; 5] {
    let metered = with[resource].metered.to_string();
    let fallback = without[resource].metered.to_string();
    let fallback = if fallback == metered { "the same".to_owned() } else { fallback };
    // Whether it works on a machine is for its self-test to say.
    let enforced = with[resource].enforced.to_string().replace(" (untested)", "");
    [resource.to_string(), resource.unit().to_string(), metered, fallback, enforced]
}

fn as_markdown(out: &mut dyn Write, rows: &[[String; 5]]) -> io::Result<()> {
    writeln!(out, "| {} |", HEADS.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(HEADS.len()))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

fn as_text(out: &mut dyn Write, rows: [[String; 5]; Resource::COUNT]) -> io::Result<()> {
    let mut table = Table::new(HEADS);
    for row in rows {
        table.row(Style::Plain, row);
    }
    table.print(out)
}
