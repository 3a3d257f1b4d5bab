//! Who was refused what, when and how often.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use ubc_core::{ContainerId, Resource, Row};

use super::event::{Event, What};
use crate::report::{self, Style, Table};

/// By container and row.
#[derive(Debug, Default)]
pub(super) struct Summary(BTreeMap<(ContainerId, Resource), Failures>);

#[derive(Debug, Serialize)]
struct Failures {
    times: u64,
    first: f64,
    last: f64,
    /// At the last reading that showed a failure.
    row: Row,
    /// Who was refused, of those that were told, and how often.
    by: BTreeMap<String, u64>,
}

impl Summary {
    pub(super) fn add(&mut self, event: &Event) {
        let time = event.time;
        match &event.what {
            What::Failed { id, resource, times, row } => {
                let failures = self.of(*id, *resource, time);
                failures.times = failures.times.saturating_add(*times);
                failures.last = failures.last.max(time);
                failures.row = *row;
            }
            What::Refused { refusal } => {
                let failures = self.of(refusal.id, refusal.resource, time);
                failures.last = failures.last.max(time);
                *failures.by.entry(crate::error::one_line(&refusal.comm)).or_default() += 1;
            }
            _ => {}
        }
    }

    fn of(&mut self, id: ContainerId, resource: Resource, time: f64) -> &mut Failures {
        let row = Row::default();
        let new = Failures { times: 0, first: time, last: time, row, by: BTreeMap::new() };
        let failures = self.0.entry((id, resource)).or_insert(new);
        failures.first = failures.first.min(time);
        failures
    }

    pub(super) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            id: ContainerId,
            resource: Resource,
            #[serde(flatten)]
            failures: &'a Failures,
        }
        self.0.iter().try_for_each(|((id, resource), failures)| {
            report::json(out, &Line { id: *id, resource: *resource, failures })
        })
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.0.is_empty() {
            return writeln!(out, "nothing was refused");
        }
        let heads =
            ["container", "resource", "failed", "first", "last", "maxheld", "barrier", "limit"];
        let mut heads: Vec<report::Head> = heads.map(|text| head(text, text == "resource")).into();
        heads.push(head("by", true));
        let mut table = Table::of(heads);
        for ((id, resource), failures) in &self.0 {
            let Failures { times, first, last, row, by } = failures;
            // Told by the kernel, and no reading came since.
            let known = |text: String| if *times > 0 { text } else { "-".to_owned() };
            let mut by: Vec<(&String, &u64)> = by.iter().collect();
            by.sort_by_key(|(name, times)| (std::cmp::Reverse(**times), (*name).clone()));
            let by: Vec<&str> = by.iter().take(3).map(|(name, _)| name.as_str()).collect();
            table.row(
                Style::Plain,
                [
                    id.to_string(),
                    resource.to_string(),
                    known(times.to_string()),
                    report::second(*first),
                    report::second(*last),
                    known(row.maxheld.to_string()),
                    known(report::threshold(row.barrier)),
                    known(report::threshold(row.limit)),
                    by.join(", "),
                ],
            );
        }
        table.print(out)
    }
}

fn head(text: &str, words: bool) -> report::Head {
    report::Head { text: text.to_owned(), words }
}
