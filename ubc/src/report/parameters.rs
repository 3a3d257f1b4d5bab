//! `ubc parameters`: what is true of each parameter on any machine.

use std::io::{self, Write};

use ubc_cgroup::{Knob, RowStatus, expected, expected_of_programs};
use ubc_core::{PerResource, Resource};

use super::table::{Style, Table};
use crate::error::Result;

const HEADS: [&str; 6] = [
    "parameter",
    "unit",
    "metered by",
    "without programs by",
    "without controllers by",
    "enforced by",
];

/// Of the scheduler knobs.
const KNOB_HEADS: [&str; 4] = ["scheduler", "values", "applied by", "by the controller"];

/// Prints the tables; as markdown they are the README's.
pub(crate) fn parameters(markdown: bool) -> Result<()> {
    let mut best = expected(&["memory", "pids"]);
    expected_of_programs(&mut best);
    let kinds = [best, expected(&["memory", "pids"]), expected(&[])];
    crate::print(|out| {
        let rows = Resource::ALL.map(|resource| cells(resource, &kinds));
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

/// A row on the best machine, on one whose kernel takes no programs, and on
/// one without controllers, too.
fn cells(resource: Resource, kinds: &[PerResource<RowStatus>; 3]) -> [String; 6] {
    let [best, plain, bare] = kinds.each_ref().map(|rows| rows[resource].metered.to_string());
    let or_same = |text: String, before: &str| {
        if text == before { "the same".to_owned() } else { text }
    };
    let bare = or_same(bare, &plain);
    let plain = or_same(plain, &best);
    // Whether it works on a machine is for its self-test to say.
    let enforced = kinds[0][resource].enforced.to_string().replace(" (untested)", "");
    [resource.to_string(), resource.unit().to_string(), best, plain, bare, enforced]
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
