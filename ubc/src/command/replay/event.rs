//! What happened, one after the other.

use std::fmt;

use serde::Serialize;
use ubc_core::{ContainerId, Limits, Resource, Row};
use ubc_procfs::text::value::Shown;

use crate::history::{Entry, Moment, Numbers};
use crate::protocol::Refusal;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Event {
    /// Seconds since 1970 in UTC. What was read happened since the reading
    /// before.
    pub(super) time: f64,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum What {
    /// A container is there that was not.
    Came { id: ContainerId },
    /// It is there no more.
    Went { id: ContainerId },
    /// Somebody changed the limits of a row.
    Limits { id: ContainerId, resource: Resource, before: Limits, now: Limits },
    /// The failcnt of a row rose by `times`.
    Failed { id: ContainerId, resource: Resource, times: u64, row: Row },
    /// One of those that a program in the kernel refused.
    Refused { refusal: Refusal },
    /// Nothing is known from here to the next reading.
    Unheard { why: String },
}

impl Event {
    pub(super) fn id(&self) -> Option<ContainerId> {
        match &self.what {
            What::Came { id }
            | What::Went { id }
            | What::Limits { id, .. }
            | What::Failed { id, .. } => Some(*id),
            What::Refused { refusal } => Some(refusal.id),
            What::Unheard { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", crate::report::second(self.time))?;
        match &self.what {
            What::Came { id } => write!(f, "container {id}: came"),
            What::Went { id } => write!(f, "container {id}: ended"),
            What::Limits { id, resource, before, now } => {
                let (before, now) = (Shown(*before), Shown(*now));
                write!(f, "container {id}: {resource} limits changed from {before} to {now}")
            }
            What::Failed { id, resource, times, row } => {
                let s = if *times == 1 { "" } else { "s" };
                let limits = Shown(row.limits());
                write!(
                    f,
                    "container {id}: {resource} failed {times} time{s} since the reading before, \
                     held {}, limits {limits}",
                    row.held
                )
            }
            What::Refused { refusal } => write!(f, "{refusal}"),
            What::Unheard { why } => write!(f, "nothing was read: {}", crate::error::one_line(why)),
        }
    }
}

/// Finds out what happened from one line to the next.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// None before the first reading: how long its failcnt is what it is
    /// nobody knows.
    now: Option<Moment>,
}

impl Story {
    pub(super) fn tell(&mut self, entry: &Entry) -> Vec<Event> {
        let (time, whole, containers, gone) = match entry {
            Entry::Refused { refusal } => {
                let what = What::Refused { refusal: refusal.clone() };
                return vec![Event { time: refusal.time, what }];
            }
            Entry::Unheard { time, why } => {
                return vec![Event { time: *time, what: What::Unheard { why: why.clone() } }];
            }
            Entry::Reading { time, whole, containers, gone } => (*time, *whole, containers, gone),
        };
        let Some(now) = &mut self.now else {
            self.now.insert(Moment::default()).apply(entry);
            return Vec::new();
        };
        // Of many containers few change.
        let touched = |id: &ContainerId| whole || containers.contains_key(id) || gone.contains(id);
        let before = now.0.iter().filter(|(id, _)| touched(id));
        let before = Moment(before.map(|(id, rows)| (*id, rows.clone())).collect());
        now.apply(entry);
        let mut told = Vec::new();
        for id in before.0.keys().filter(|id| !now.0.contains_key(id)) {
            told.push(What::Went { id: *id });
        }
        for id in containers.keys() {
            let Some(known) = before.0.get(id) else {
                told.push(What::Came { id: *id });
                failed(*id, now, |_| 0, &mut told);
                continue;
            };
            let old = |resource| known.get(&resource).copied().unwrap_or(Numbers::NONE).row();
            for (resource, row) in rows(*id, now) {
                let (before, now) = (old(resource).limits(), row.limits());
                if before != now {
                    told.push(What::Limits { id: *id, resource, before, now });
                }
            }
            failed(*id, now, |resource| old(resource).failcnt, &mut told);
        }
        told.into_iter().map(|what| Event { time, what }).collect()
    }
}

/// Tells the rows that failed since `before`.
fn failed(id: ContainerId, now: &Moment, before: impl Fn(Resource) -> u64, told: &mut Vec<What>) {
    for (resource, row) in rows(id, now) {
        // Of a container that ended and came back it counts from 0.
        let times = row.failcnt.checked_sub(before(resource)).unwrap_or(row.failcnt);
        if times > 0 {
            told.push(What::Failed { id, resource, times, row });
        }
    }
}

fn rows(id: ContainerId, now: &Moment) -> impl Iterator<Item = (Resource, Row)> {
    let reading = now.reading(id);
    reading.into_iter().flat_map(|reading| {
        let rows: Vec<(Resource, Row)> = reading.rows.iter().map(|(r, row)| (r, *row)).collect();
        rows
    })
}

#[cfg(test)]
mod tests;
