//! The lines of a history file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use ubc_core::{ContainerId, Reading, Resource, Row, UNLIMITED};

use crate::protocol::Refusal;

/// What the first line of each file says.
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// [`VERSION`] of who wrote the file.
    pub(crate) ubc_history: u32,
}

/// Held, maxheld, barrier, limit and failcnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers(u64, u64, u64, u64, u64);

impl Numbers {
    /// Those of a row that nothing was ever counted in. They are not written
    /// unless they were others before.
    pub(crate) const NONE: Numbers = Numbers(0, 0, UNLIMITED, UNLIMITED, 0);

    pub(crate) fn row(self) -> Row {
        let Numbers(held, maxheld, barrier, limit, failcnt) = self;
        Row { held, maxheld, minheld: 0, barrier, limit, failcnt }
    }
}

impl From<&Row> for Numbers {
    fn from(row: &Row) -> Numbers {
        Numbers(row.held, row.maxheld, row.barrier, row.limit, row.failcnt)
    }
}

/// Rows of one container.
pub(crate) type Rows = BTreeMap<Resource, Numbers>;

/// All other lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Entry {
    /// What a reading of all containers showed.
    Reading {
        /// Seconds since 1970 in UTC, by the clock of the host then.
        time: f64,
        /// Nothing that was written before matters: containers that are not in
        /// it are gone, rows that are not in it are [`Numbers::NONE`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
        /// Rows that are other than in the reading before.
        containers: BTreeMap<ContainerId, Rows>,
        /// Containers that were in the reading before.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        gone: BTreeSet<ContainerId>,
    },
    /// What a program in the kernel refused.
    Refused { refusal: Refusal },
    /// From here to the next reading nothing is known.
    Unheard { time: f64, why: String },
}

/// All containers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) BTreeMap<ContainerId, Rows>);

impl Moment {
    pub(crate) fn of<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> Moment {
        let rows = |reading: &Reading| {
            let numbers = reading.rows.iter().map(|(row, numbers)| (row, Numbers::from(numbers)));
            numbers.filter(|(_, numbers)| *numbers != Numbers::NONE).collect::<Rows>()
        };
        Moment(readings.into_iter().map(|reading| (reading.id, rows(reading))).collect())
    }

    /// The line that leads from an earlier moment to this one.
    pub(crate) fn since(&self, before: &Moment, time: f64) -> Entry {
        let mut containers = BTreeMap::new();
        for (id, rows) in &self.0 {
            let known = before.0.get(id);
            let old = |row: &Resource| known.and_then(|rows| rows.get(row)).copied();
            let mut changed: Rows = rows
                .iter()
                .filter(|(row, now)| old(row) != Some(**now))
                .map(|(row, now)| (*row, *now))
                .collect();
            let emptied = known.into_iter().flatten().filter(|(row, _)| !rows.contains_key(row));
            changed.extend(emptied.map(|(row, _)| (*row, Numbers::NONE)));
            if known.is_none() || !changed.is_empty() {
                containers.insert(*id, changed);
            }
        }
        let gone = before.0.keys().filter(|id| !self.0.contains_key(id)).copied().collect();
        Entry::Reading { time, whole: false, containers, gone }
    }

    /// The line that needs none before it.
    pub(crate) fn whole(&self, time: f64) -> Entry {
        let (containers, gone) = (self.0.clone(), BTreeSet::new());
        Entry::Reading { time, whole: true, containers, gone }
    }

    /// Goes on to the moment a line leads to.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        let Entry::Reading { whole, containers, gone, .. } = entry else { return };
        if *whole {
            self.0.clear();
        }
        self.0.retain(|id, _| !gone.contains(id));
        for (id, changed) in containers {
            let rows = self.0.entry(*id).or_default();
            rows.extend(changed);
            rows.retain(|_, numbers| *numbers != Numbers::NONE);
        }
    }

    /// The rows of a container, as they were read then.
    pub(crate) fn reading(&self, id: ContainerId) -> Option<Reading> {
        let rows = self.0.get(&id)?;
        let row = |resource| rows.get(&resource).copied().unwrap_or(Numbers::NONE).row();
        Some(Reading { id, rows: ubc_core::PerResource::from_fn(row) })
    }
}
