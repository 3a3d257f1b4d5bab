//! `ubc list`: vzlist's fields of every container.

mod field;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use clap::ArgMatches;
use ubc_config::{Document, Tree};
use ubc_core::ContainerId;

use crate::client::{Client, unexpected};
use crate::error::{Failure, Result};
use crate::paths::RunDir;
use crate::protocol::{Container, Request, Response};
use crate::report::{self, Head, Style, Table};
use field::Field;

/// What is shown unless something is asked for.
const USUAL: &str = "ctid,status,init,numproc,numfile,physpages,privvmpages,failed,hostname";

/// A container, whether it runs or only has a file.
struct Entry {
    id: ContainerId,
    /// None: it does not run.
    running: Option<Container>,
    /// Empty where there is none.
    file: Document,
}

/// Prints the containers asked for.
pub(crate) fn list(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    if matches.get_flag("fields") {
        return crate::print(|out| {
            Field::all().try_for_each(|field| writeln!(out, "{field:<15} {}", field.head()))
        });
    }
    let bare = matches.get_flag("ids");
    let usual = if bare { "ctid" } else { USUAL };
    let fields = fields(matches.get_one::<String>("output").map_or(usual, String::as_str))?;
    let sort = matches.get_one::<String>("sort").map(|text| Sort::parse(text)).transpose()?;
    crate::needs_root()?;
    let wanted: BTreeSet<ContainerId> =
        matches.get_many("CTID").unwrap_or_default().copied().collect();
    let running = running(run)?;
    let running = running.into_iter().filter(|one| wanted.is_empty() || wanted.contains(&one.id));
    if matches.get_flag("json") {
        let running: Vec<Container> = running.collect();
        return crate::print(|out| report::json(out, &running));
    }
    let stopped = matches.get_flag("stopped");
    let mut entries: Vec<Entry> = running
        .map(|one| Entry { id: one.id, file: file(tree, one.id), running: Some(one) })
        .collect();
    if stopped || matches.get_flag("all") || !wanted.is_empty() {
        let ids = if tree.containers().exists() { tree.ids()?.0 } else { Vec::new() };
        let known: BTreeSet<ContainerId> = entries.iter().map(|one| one.id).collect();
        let others = ids.into_iter().filter(|id| !known.contains(id));
        let others = others.filter(|id| wanted.is_empty() || wanted.contains(id));
        entries.extend(others.map(|id| Entry { id, file: file(tree, id), running: None }));
    }
    if stopped {
        entries.retain(|one| one.running.is_none());
    }
    if let Some(id) = wanted.iter().find(|id| !entries.iter().any(|one| one.id == **id)) {
        let message = format!("there is no container {id}");
        return Err(Failure::new(crate::error::Kind::NoContainer, message));
    }
    let sort = sort.unwrap_or(Sort { field: Field::Id, falling: false });
    entries.sort_by(|a, b| sort.compare(a, b));
    let table = table(&fields, &entries);
    crate::print(|out| {
        if bare || matches.get_flag("no-header") { table.print_bare(out) } else { table.print(out) }
    })
}

fn table(fields: &[Field], entries: &[Entry]) -> Table {
    let head = |field: &Field| Head { text: field.head(), words: field.is_words() };
    let mut table = Table::of(fields.iter().map(head).collect());
    for entry in entries {
        let cells: Vec<String> = fields.iter().map(|field| field.text(entry)).collect();
        table.row(entry.style(), cells);
    }
    table
}

/// The usual table of containers that run and have no file.
#[cfg(test)]
pub(crate) fn usual(out: &mut dyn std::io::Write, running: Vec<Container>) -> Result<()> {
    let entry =
        |one: Container| Entry { id: one.id, running: Some(one), file: Document::default() };
    let entries: Vec<Entry> = running.into_iter().map(entry).collect();
    table(&fields(USUAL)?, &entries).print(out).map_err(Failure::system)
}

/// Those that run.
fn running(run: &RunDir) -> Result<Vec<Container>> {
    let Some(mut client) = Client::connect(run)? else { return Ok(Vec::new()) };
    match client.ask(&Request::List)? {
        Response::Containers { containers } => Ok(containers),
        response => Err(unexpected(&response)),
    }
}

/// The names in a file; one that cannot be read has none, and is for `ubc check`
/// to judge.
fn file(tree: &Tree, id: ContainerId) -> Document {
    tree.document(id)
        .unwrap_or_else(|error| {
            log::warn!("{error}");
            None
        })
        .unwrap_or_default()
}

fn fields(text: &str) -> Result<Vec<Field>> {
    text.split(',').map(|name| Field::parse(name.trim()).map_err(Failure::usage)).collect()
}

impl Entry {
    fn style(&self) -> Style {
        let rows = self.running.iter().flat_map(|one| one.reading.rows.iter());
        let styles: Vec<Style> = rows.map(|(_, row)| report::style(row)).collect();
        let has = |style| styles.contains(&style);
        if has(Style::Alarm) { Style::Alarm } else { Style::Plain }
    }
}

/// An order of containers.
struct Sort {
    field: Field,
    falling: bool,
}

impl Sort {
    /// A field, or with `-` before it the other way round.
    fn parse(text: &str) -> Result<Sort> {
        let (name, falling) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let field = Field::parse(name).map_err(Failure::usage)?;
        Ok(Sort { field, falling })
    }

    /// Numbers before words, and what is not known last.
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        let key = |entry: &Entry| {
            let text = self.field.text(entry);
            let number = if text == "unlimited" { Some(u64::MAX) } else { text.parse().ok() };
            (text == "-", number.is_none(), number, text)
        };
        let order = key(a).cmp(&key(b));
        let order = if self.falling { order.reverse() } else { order };
        order.then(a.id.cmp(&b.id))
    }
}
