//! `ubc parameters`: what is true of each parameter on any machine.

use std::io::{self, Write};

use ubc_cgroup::{Knob, RowStatus, expected};
use ubc_core::{PerResource, Resource};

use super::table::{Style, Table};
use crate::error::Result;

const HEADS: [&str; 5] =
    ["parameter", "unit", "metered by", "metered without controllers by", "enforced by"];

/// Of the scheduler knobs.
const KNOB_HEADS: [&str; 4] = ["scheduler", "values", "applied by", "by the controller"];

/// Prints the tables; as markdown they are the README's.
pub(crate) fn parameters(markdown: bool) -> Result<()> {
    let with = expected(&["memory", "pids"]);
    let without = expected(&[]);
    crate::print(|out| {
        let rows = Resource::ALL.map(|resource| cells(resource, &with, &without));
        let knobs = Knob::ALL.map(knob_cells);
        if markdown {
            as_markdown(out, HEADS, &rows)?;
            writeln!(out)?;
            as_markdown(out, KNOB_HEADS, &knobs)
        } else {
            as_text(out, HEADS, rows)?;
            writeln!(out)?;
            as_text(out, KNOB_HEADS, knobs)
        }
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

fn knob_cells(knob: Knob) -> [String; 4] {
    let file = match knob {
        Knob::IoPriority => "io.weight, io.bfq.weight",
        _ => knob.file(),
    };
    let help = crate::cli::knobs::help(knob);
    [knob.to_string(), help.to_owned(), file.to_owned(), knob.controller().to_owned()]
}

fn as_markdown<const N: usize>(
    out: &mut dyn Write,
    heads: [&'static str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    writeln!(out, "| {} |", heads.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(N))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

fn as_text<const N: usize>(
    out: &mut dyn Write,
    heads: [&'static str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new(heads);
    for row in rows {
        table.row(Style::Plain, row);
    }
    table.print(out)
}
