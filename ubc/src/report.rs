//! What the command prints: for people as tables, for programs as JSON.

mod doctor;
mod knobs;
mod parameters;
mod table;

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use ubc_core::Resource;

use crate::protocol::{Container, Refusal};
pub(crate) use table::{Style, Table, styled};

pub(crate) use doctor::doctor;
pub(crate) use parameters::parameters;

/// One line of JSON for one value.
pub(crate) fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// All rows and the schedule of a container.
pub(crate) fn container(out: &mut dyn Write, container: &Container) -> io::Result<()> {
    let pid = container.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
    writeln!(out, "container {}  init {pid}  cgroup {}", container.id, container.cgroup)?;
    if let Some(view) = &container.view {
        writeln!(out, "view by {}  meminfo {}", view.way, view.meminfo)?;
    }
    let mut table = Table::new([
        "resource",
        "held",
        "maxheld",
        "barrier",
        "limit",
        "failcnt",
        "metered by",
        "enforced by",
    ]);
    for (resource, row) in container.reading.rows.iter() {
        let status = &container.status[resource];
        let configured = container.configured[resource].filter(|limits| !limits.is_unlimited());
        let number = |value: u64| {
            if status.measured { value.to_string() } else { "-".to_owned() }
        };
        // A limit that is only kept is not shown as if it were imposed.
        let enforced_by = match configured {
            Some(limits) if limits != row.limits() => {
                let limits = crate::limits::shown(limits);
                format!("{} (configured {limits})", status.enforced_by)
            }
            _ => status.enforced_by.clone(),
        };
        let style = match row.failcnt {
            0 => Style::Plain,
            _ => Style::Alarm,
        };
        table.row(
            style,
            [
                resource.to_string(),
                number(row.held),
                number(row.maxheld),
                threshold(row.barrier),
                threshold(row.limit),
                row.failcnt.to_string(),
                status.metered_by.clone(),
                enforced_by,
            ],
        );
    }
    table.print(out)?;
    writeln!(out)?;
    knobs::of_container(out, &container.schedule)
}

/// One line a refusal.
pub(crate) fn refusal(out: &mut dyn Write, refusal: &Refusal) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::try_from_secs_f64(refusal.time).unwrap_or_default();
    writeln!(out, "{} {refusal}", humantime::format_rfc3339_millis(time))
}

/// One line a container.
pub(crate) fn list(out: &mut dyn Write, containers: &[Container]) -> io::Result<()> {
    const SHOWN: [Resource; 4] =
        [Resource::NumProc, Resource::NumFile, Resource::PhysPages, Resource::PrivvmPages];
    let heads = ["ctid", "init", "numproc", "numfile", "physpages", "privvmpages", "failed"];
    let mut table = Table::new(heads);
    for container in containers {
        let rows = &container.reading.rows;
        let failed: u64 = rows.iter().map(|(_, row)| row.failcnt).sum();
        let pid = container.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let mut cells = vec![container.id.to_string(), pid];
        cells.extend(SHOWN.map(|resource| {
            if container.status[resource].measured {
                rows[resource].held.to_string()
            } else {
                "-".to_owned()
            }
        }));
        cells.push(failed.to_string());
        let style = if failed == 0 { Style::Plain } else { Style::Alarm };
        table.row(style, cells);
    }
    table.print(out)
}

fn threshold(value: u64) -> String {
    if value == ubc_core::UNLIMITED { "-".to_owned() } else { value.to_string() }
}
