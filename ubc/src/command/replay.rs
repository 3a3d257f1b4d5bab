//! `ubc replay`: what was recorded.

mod event;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use clap::ArgMatches;
use log::warn;
use ubc_core::{ContainerId, Reading, Resource};
use ubc_procfs::text::table::write_user_beancounters;

use crate::error::{Failure, Kind, Result};
use crate::history::{Entry, Moment, Player};
use crate::paths::RunDir;
use crate::report::{self, Style, Table};
use event::{Event, Story};
use summary::Summary;

/// Tells what the record holds. Lines that cannot be read are named, and make
/// it fail in the end.
pub(crate) fn replay(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    let dir = super::record::dir(run, matches);
    let player = Player::open(&dir).map_err(|error| {
        let dir = dir.display();
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                let message = format!("--dir {dir}: there is no record; ubc record makes one");
                Failure::new(Kind::Config, message)
            }
            std::io::ErrorKind::PermissionDenied => {
                Failure::new(Kind::NoPermission, format!("--dir {dir}: needs root"))
            }
            _ => Failure::system(format!("--dir {dir}: {error}")),
        }
    })?;
    let range = Range::of(matches);
    let json = matches.get_flag("json");
    let mut damaged = 0_u64;
    let entries = player.filter_map(|entry| {
        entry
            .map_err(|damage| {
                warn!("{damage}");
                damaged += 1;
            })
            .ok()
    });
    if let Some(at) = matches.get_one("at") {
        rows_at(entries, &range, *at, json)?;
    } else if let Some(row) = matches.get_one("row") {
        course(entries, &range, *row, json)?;
    } else if matches.get_flag("events") {
        let mut story = Story::default();
        crate::print(|out| {
            for entry in entries {
                for event in story.tell(&entry).into_iter().filter(|event| range.has(event)) {
                    if json { report::json(out, &event)? } else { writeln!(out, "{event}")? }
                }
            }
            Ok(())
        })?;
    } else {
        let (mut story, mut summary) = (Story::default(), Summary::default());
        for entry in entries {
            let events = story.tell(&entry).into_iter().filter(|event| range.has(event));
            events.for_each(|event| summary.add(&event));
        }
        crate::print(|out| if json { summary.json(out) } else { summary.print(out) })?;
    }
    match damaged {
        0 => Ok(()),
        1 => Err(Failure::new(Kind::Config, "a line of the record could not be read")),
        more => Err(Failure::new(Kind::Config, format!("{more} lines could not be read"))),
    }
}

/// All that can be told of these lines; for the fuzz targets.
pub(crate) fn tell(entries: &[Entry]) -> Vec<String> {
    let (mut story, mut summary) = (Story::default(), Summary::default());
    let events: Vec<Event> = entries.iter().flat_map(|entry| story.tell(entry)).collect();
    for event in &events {
        summary.add(event);
    }
    let mut text = Vec::new();
    // Into memory, which takes it.
    let _ = summary.json(&mut text);
    let lines = String::from_utf8_lossy(&text);
    events.iter().map(Event::to_string).chain(lines.lines().map(str::to_owned)).collect()
}

/// What of the record is wanted.
struct Range {
    from: f64,
    to: f64,
    /// Empty: all.
    ids: BTreeSet<ContainerId>,
}

impl Range {
    fn of(matches: &ArgMatches) -> Range {
        Range {
            from: matches.get_one("from").copied().unwrap_or(f64::NEG_INFINITY),
            to: matches.get_one("to").copied().unwrap_or(f64::INFINITY),
            ids: matches.get_many("CTID").unwrap_or_default().copied().collect(),
        }
    }

    fn is_about(&self, id: ContainerId) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }

    fn includes(&self, time: f64) -> bool {
        (self.from..=self.to).contains(&time)
    }

    fn has(&self, event: &Event) -> bool {
        self.includes(event.time) && event.id().is_none_or(|id| self.is_about(id))
    }
}

/// All rows as they were at a time.
fn rows_at(entries: impl Iterator<Item = Entry>, range: &Range, at: f64, json: bool) -> Result<()> {
    let mut now = Moment::default();
    let mut known = false;
    for entry in entries {
        match &entry {
            Entry::Reading { time, .. } if *time <= at => {
                now.apply(&entry);
                known = true;
            }
            Entry::Unheard { time, .. } if *time <= at => known = false,
            // A clock that was set back may come to that time once more.
            _ => {}
        }
    }
    if !known {
        return Err(Failure::new(Kind::NoContainer, "nothing was recorded at that time"));
    }
    let ids = now.0.keys().rev().filter(|id| range.is_about(**id));
    let readings: Vec<Reading> = ids.filter_map(|id| now.reading(*id)).collect();
    if let Some(id) = range.ids.iter().find(|id| !now.0.contains_key(id)) {
        let message = format!("there was no container {id} at that time");
        return Err(Failure::new(Kind::NoContainer, message));
    }
    crate::print(|out| {
        if json {
            return report::json(out, &readings);
        }
        let mut text = Vec::new();
        write_user_beancounters(&readings, &mut text);
        out.write_all(&text)
    })
}

/// How a row went: a line for each time that something of it changed.
fn course(
    entries: impl Iterator<Item = Entry>,
    range: &Range,
    resource: Resource,
    json: bool,
) -> Result<()> {
    let mut now = Moment::default();
    let heads = ["time", "container", "held", "maxheld", "barrier", "limit", "failcnt"];
    let mut table = Table::new(heads);
    let mut lines = Vec::new();
    let mut told = BTreeMap::new();
    for entry in entries {
        now.apply(&entry);
        let Entry::Reading { time, containers, .. } = &entry else { continue };
        if !range.includes(*time) {
            continue;
        }
        for id in containers.keys().filter(|id| range.is_about(**id)) {
            let Some(row) = now.reading(*id).map(|reading| reading.rows[resource]) else {
                continue;
            };
            if told.insert(*id, row) == Some(row) {
                continue;
            }
            if json {
                lines.push(serde_json::json!({ "time": time, "id": id, "row": row }));
                continue;
            }
            let threshold = report::threshold;
            table.row(
                Style::Plain,
                [
                    report::second(*time),
                    id.to_string(),
                    row.held.to_string(),
                    row.maxheld.to_string(),
                    threshold(row.barrier),
                    threshold(row.limit),
                    row.failcnt.to_string(),
                ],
            );
        }
    }
    crate::print(|out| {
        if json {
            lines.iter().try_for_each(|line| report::json(out, line))
        } else {
            table.print(out)
        }
    })
}
