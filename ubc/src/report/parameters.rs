//! `ubc parameters`: what is true of each parameter on any machine.

use std::io::{self, Write};

use ubc_cgroup::{Knob, RowStatus, expected, expected_of_programs};
use ubc_core::profiles::{Profile, VE_BASIC, VE_LIGHT};
use ubc_core::{Class, PerResource, Resource, VISIBLE_SLOTS};

use super::table::{Head, Style, Table};
use crate::error::Result;

const HEADS: [&str; 6] = [
    "parameter",
    "unit",
    "metered by",
    "without programs by",
    "without controllers by",
    "enforced by",
];

/// Of one parameter.
const FACT_HEADS: [&str; 2] = ["fact", "value"];

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

/// Prints what is true of one parameter; as markdown it is in its page of the
/// book.
pub(crate) fn parameter(resource: Resource, markdown: bool) -> Result<()> {
    crate::print(|out| {
        let facts = facts(resource);
        if markdown {
            return as_markdown(out, FACT_HEADS, &facts);
        }
        let mut table =
            Table::of(FACT_HEADS.map(|head| Head { text: head.into(), words: true }).into());
        for fact in facts {
            table.row(Style::Plain, fact);
        }
        table.print(out)
    })
}

fn facts(resource: Resource) -> Vec<[String; 2]> {
    let plain = expected(&["memory", "pids"]);
    let bare = expected(&[]);
    let mut best = plain.clone();
    expected_of_programs(&mut best);
    let sample = |profile: &Profile| {
        profile.limits()[resource]
            .map_or_else(|| "not set".to_owned(), |pair| crate::limits::shown(pair).to_string())
    };
    let metered = |kind: &PerResource<RowStatus>| kind[resource].metered.to_string();
    // Whether it works on a machine is for its self-test to say.
    let enforced = |kind: &PerResource<RowStatus>| {
        kind[resource].enforced.to_string().replace(" (untested)", "")
    };
    let file = if resource.slot() < VISIBLE_SLOTS {
        format!("row {} of /proc/user_beancounters", resource.slot())
    } else {
        format!("row {}, only in bc/resources", resource.slot())
    };
    let facts = [
        ("place", file),
        ("unit", resource.unit().to_string()),
        ("class", class(resource.class()).to_owned()),
        ("metered by", metered(&best)),
        ("metered without programs by", metered(&plain)),
        ("metered without controllers by", metered(&bare)),
        ("enforced by", enforced(&best)),
        ("enforced without programs by", enforced(&plain)),
        ("enforced without controllers by", enforced(&bare)),
        ("sample basic", sample(&VE_BASIC)),
        ("sample light", sample(&VE_LIGHT)),
    ];
    facts.map(|(what, is)| [what.to_owned(), is]).into()
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Primary => "primary",
        Class::Secondary => "secondary",
        Class::Auxiliary => "auxiliary",
    }
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
