//! A container's rows as they are read.

use std::io;
use std::time::{Duration, Instant};

use log::warn;
use ubc_cgroup::Round;
use ubc_core::{Reading, Snapshot};

use super::Container;
use crate::error::Result;

/// How long a reading waits for another one of the same container. One takes
/// milliseconds; what it looks at is not ours, and could hold it up.
const OTHER: Duration = Duration::from_secs(30);

/// How long a reading waits for a change of limits to be over.
const CHANGE: Duration = Duration::from_millis(100);

impl Container {
    /// The rows now, for those who read a view: those that ask for more than
    /// their share of work wait.
    pub(crate) fn reading_for_readers(&self) -> io::Result<Reading> {
        // Not under the lock of the meters: others do not wait with them.
        let wait = self.budget.lock().wait(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let started = Instant::now();
        let reading = self.read(&Round::default());
        let now = Instant::now();
        self.budget.lock().spend(now, now - started);
        reading
    }

    /// The rows, together with those of others in the round.
    pub(crate) fn read(&self, round: &Round<'_>) -> io::Result<Reading> {
        if self.has_ended() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut meters = self.metering.try_lock_for(OTHER).ok_or_else(|| {
            let seconds = OTHER.as_secs();
            self.failed(format!("it is being read for more than {seconds} s already"))
        })?;
        let observed = meters.read_in(round).map_err(|error| match error {
            ubc_cgroup::Error::Removed { .. } => io::ErrorKind::NotFound.into(),
            error => self.failed(error),
        })?;
        for (resource, seen) in observed.iter() {
            self.beancounter.observe(resource, *seen).map_err(io::Error::other)?;
        }
        // A lower memory limit may take the kernel long; until it is there the
        // rows show the old one.
        if let Some(mut imposed) = self.imposed.try_lock_for(CHANGE) {
            self.show_limits(&mut imposed).map_err(io::Error::other)?;
        }
        let reading = self.beancounter.reading();
        if let Some(kept) = &self.kept {
            kept.record(&reading, || Some(self.roster.upgrade()?.snapshot_of(self.id)));
        }
        self.note_standing(&reading);
        Ok(reading)
    }

    /// As [`Container::read`], for those who read others as well: what makes the
    /// reading of one fail is the doing of what runs in it, perhaps, and must not
    /// hide the others. It has its last numbers then.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub(crate) fn read_or_last(&self, round: &Round<'_>) -> io::Result<Reading> {
        match self.read(round) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(self.beancounter.reading()),
            read => read,
        }
    }

    /// What it has counted, as of its last reading, for a container that is to go on from
    /// there ([`Adopt::counts`](crate::Adopt::counts)).
    ///
    /// # Errors
    ///
    /// The container has ended ([`ErrorKind::NotFound`](crate::ErrorKind::NotFound)).
    pub fn counts(&self) -> Result<Snapshot> {
        let roster = self.roster.upgrade().ok_or_else(|| self.gone())?;
        let mut counts = roster.snapshot_of(self.id);
        counts.beancounters.retain(|saved| saved.id == self.id.into());
        if counts.beancounters.is_empty() { Err(self.gone()) } else { Ok(counts) }
    }

    fn failed(&self, error: impl std::fmt::Display) -> io::Error {
        let text = error.to_string();
        match self.complaint.lock().due(Instant::now()) {
            Some(0) => warn!("container {}: {text}", self.id),
            Some(untold) => {
                warn!("container {}: {text} (and {untold} failed readings before)", self.id);
            }
            None => {}
        }
        io::Error::other(text)
    }
}
