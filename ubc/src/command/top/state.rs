//! What is known of each row, and how the user wants it shown.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::KeyCode;
use ubc_core::{ContainerId, Resource, Row};

use crate::error::Failure;
use crate::protocol::Container;
use crate::report::full;

/// Samples of a row that are kept.
pub(super) const HISTORY: usize = 120;

/// How long a refusal is shown, so that nobody has to look at the right moment.
const FLASH: Duration = Duration::from_secs(3);

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Container,
    Resource,
    Held,
    Use,
    MaxHeld,
    Barrier,
    Limit,
    Failcnt,
}

impl Column {
    /// From left to right.
    pub(super) const ALL: [Column; 8] = [
        Column::Container,
        Column::Resource,
        Column::Held,
        Column::Use,
        Column::MaxHeld,
        Column::Barrier,
        Column::Limit,
        Column::Failcnt,
    ];

    pub(super) fn head(self) -> &'static str {
        match self {
            Column::Container => "CTID",
            Column::Resource => "RESOURCE",
            Column::Held => "HELD",
            Column::Use => "USE%",
            Column::MaxHeld => "MAXHELD",
            Column::Barrier => "BARRIER",
            Column::Limit => "LIMIT",
            Column::Failcnt => "FAILCNT",
        }
    }
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) falling: bool,
}

/// One row of one container.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: ContainerId,
    pub(super) resource: Resource,
    pub(super) row: Row,
    /// Something meters it.
    pub(super) measured: bool,
    /// Held, oldest first.
    pub(super) history: VecDeque<u64>,
    /// When failcnt last rose before our eyes.
    hit: Option<Instant>,
}

impl Track {
    /// Held in percent of what is full; none where it never is.
    pub(super) fn percent(&self) -> Option<u64> {
        let full = full(&self.row).filter(|_| self.measured)?;
        let percent = u128::from(self.row.held) * 100 / u128::from(full.max(1));
        u64::try_from(percent).ok()
    }

    /// Whether something was refused just now.
    pub(super) fn flashes(&self, now: Instant) -> bool {
        self.hit.is_some_and(|hit| now.saturating_duration_since(hit) < FLASH)
    }

    /// Whether it is worth a line unless all are wanted.
    fn matters(&self) -> bool {
        full(&self.row).is_some()
            || self.row.failcnt > 0
            || matches!(self.resource, Resource::NumProc | Resource::PhysPages)
    }
}

/// Everything the screen is made of.
#[derive(Debug)]
pub(super) struct State {
    tracks: BTreeMap<(ContainerId, Resource), Track>,
    /// Only these; empty: all.
    wanted: Vec<ContainerId>,
    pub(super) delay: Duration,
    pub(super) order: Order,
    pub(super) all: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// Lines scrolled past.
    pub(super) first: usize,
    /// Lines the screen has room for, as last drawn.
    pub(super) page: usize,
    pub(super) containers: usize,
    pub(super) failure: Option<String>,
}

impl State {
    pub(super) fn new(delay: Duration, wanted: Vec<ContainerId>) -> State {
        State {
            tracks: BTreeMap::new(),
            wanted,
            delay,
            order: Order { column: Column::Use, falling: true },
            all: false,
            paused: false,
            help: false,
            first: 0,
            page: 1,
            containers: 0,
            failure: None,
        }
    }

    /// Takes a reading of all containers in, unless it is paused.
    pub(super) fn take(&mut self, containers: &[Container], now: Instant) {
        if self.paused {
            return;
        }
        self.failure = None;
        let wanted = |id: ContainerId| self.wanted.is_empty() || self.wanted.contains(&id);
        let shown: Vec<&Container> = containers.iter().filter(|one| wanted(one.id)).collect();
        self.containers = shown.len();
        self.tracks.retain(|(id, _), _| shown.iter().any(|one| one.id == *id));
        for container in shown {
            for (resource, row) in container.reading.rows.iter() {
                let track = self.tracks.entry((container.id, resource)).or_insert_with(|| Track {
                    id: container.id,
                    resource,
                    row: *row,
                    measured: false,
                    history: VecDeque::with_capacity(HISTORY),
                    hit: None,
                });
                if row.failcnt > track.row.failcnt {
                    track.hit = Some(now);
                }
                track.row = *row;
                track.measured = container.status[resource].measured;
                if track.history.len() == HISTORY {
                    track.history.pop_front();
                }
                track.history.push_back(row.held);
            }
        }
    }

    /// Keeps the last numbers, and says why there are no new ones.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.failure = Some(failure.to_string());
    }

    /// The lines in the order wanted.
    pub(super) fn lines(&self) -> Vec<&Track> {
        let mut lines: Vec<&Track> =
            self.tracks.values().filter(|track| self.all || track.matters()).collect();
        lines.sort_by(|a, b| {
            let order = compare(a, b, self.order.column);
            let order = if self.order.falling { order.reverse() } else { order };
            order.then_with(|| (a.id, a.resource).cmp(&(b.id, b.resource)))
        });
        lines
    }

    /// Closes what is open on top; whether there was something.
    pub(super) fn leave(&mut self) -> bool {
        std::mem::take(&mut self.help)
    }

    /// Does what a key stands for.
    pub(super) fn press(&mut self, key: KeyCode) {
        let position =
            Column::ALL.iter().position(|column| *column == self.order.column).unwrap_or(0);
        let last = Column::ALL.len() - 1;
        match key {
            KeyCode::Char('<') | KeyCode::Left => {
                self.order.column = Column::ALL[position.saturating_sub(1)];
            }
            KeyCode::Char('>') | KeyCode::Right => {
                self.order.column = Column::ALL[(position + 1).min(last)];
            }
            KeyCode::Char('r') => self.order.falling = !self.order.falling,
            KeyCode::Char('a') => self.all = !self.all,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('h' | '?') => self.help = !self.help,
            KeyCode::Up => self.first = self.first.saturating_sub(1),
            KeyCode::Down => self.first = self.first.saturating_add(1),
            KeyCode::PageUp => self.first = self.first.saturating_sub(self.page),
            KeyCode::PageDown => self.first = self.first.saturating_add(self.page),
            KeyCode::Home => self.first = 0,
            KeyCode::End => self.first = usize::MAX,
            _ => {}
        }
    }
}

fn compare(a: &Track, b: &Track, column: Column) -> Ordering {
    match column {
        Column::Container => a.id.cmp(&b.id),
        Column::Resource => a.resource.cmp(&b.resource),
        Column::Held => a.row.held.cmp(&b.row.held),
        Column::Use => a.percent().cmp(&b.percent()),
        Column::MaxHeld => a.row.maxheld.cmp(&b.row.maxheld),
        Column::Barrier => a.row.barrier.cmp(&b.row.barrier),
        Column::Limit => a.row.limit.cmp(&b.row.limit),
        Column::Failcnt => a.row.failcnt.cmp(&b.row.failcnt),
    }
}
