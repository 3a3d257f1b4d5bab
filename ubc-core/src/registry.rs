//! All beancounters by id.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::sync::RwLock;
use crate::{Beancounter, ContainerId, Defaults, PerResource, Resource, UbId};

/// All beancounters of a machine by id, the host's (id 0) among them from the
/// beginning.
///
/// As in OpenVZ, a beancounter outlives its removal while anything is charged
/// to it, or anyone has a handle of it. Until then it is *leaving*: listed,
/// found by its id, and taken up again, with its limits, `maxheld` and
/// `failcnt`, when the id is used again. So one id never has two sets of
/// counters, and no charge goes unseen.
#[derive(Debug)]
pub struct Registry {
    pub(crate) defaults: Defaults,
    /// The same as its entry in `state`.
    pub(crate) host: Beancounter,
    pub(crate) state: RwLock<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) entries: BTreeMap<UbId, Entry>,
    /// The age the next entry gets.
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) beancounter: Beancounter,
    /// Older entries have smaller ones.
    pub(crate) age: u64,
    pub(crate) leaving: bool,
}

/// What the registry could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is a beancounter with this id.
    #[error("beancounter {0} exists")]
    InUse(UbId),
    /// There was a beancounter with this id, and something is still charged
    /// to it or refers to it. `get_or_create` takes it up again.
    #[error("beancounter {0} was removed but is still in use")]
    Leaving(UbId),
    /// There is no beancounter with this id.
    #[error("no beancounter {0}")]
    Unknown(UbId),
    /// A sub-beancounter needs its parent first.
    #[error("beancounter {0} has no parent yet")]
    NoParent(UbId),
    /// The host's beancounter is always there.
    #[error("the beancounter of the host cannot be removed")]
    Host,
}

/// What became of a beancounter that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing was charged and nobody referred to it: it is gone.
    Gone,
    /// It goes when the last charge is given back and the last handle, guard
    /// and sub-beancounter is dropped.
    Leaving {
        /// What is still charged, in slot order; empty if only handles are
        /// left (042stab logged these as `Ub ... helds ... on put`).
        charged: Vec<(Resource, u64)>,
    },
}

impl Registry {
    /// Only the host, and [`Defaults::new`] for containers to come.
    pub fn new() -> Self {
        Self::with_defaults(Defaults::new())
    }

    /// Only the host; new containers get these thresholds.
    pub fn with_defaults(defaults: Defaults) -> Self {
        let mut state = State::default();
        let host = Beancounter::new(ContainerId::HOST);
        state.insert(host.clone());
        Registry { defaults, host, state: RwLock::new(state) }
    }

    /// The host's beancounter.
    pub fn host(&self) -> Beancounter {
        self.host.clone()
    }

    /// Makes the beancounter of a container, or of a sub-beancounter of one.
    ///
    /// # Errors
    ///
    /// The id is taken, also by one that is leaving; or a parent is missing.
    pub fn create(&self, id: impl Into<UbId>) -> Result<Beancounter, RegistryError> {
        let id = id.into();
        let mut state = self.state.write();
        state.sweep();
        match state.entries.get(&id) {
            Some(entry) if entry.leaving => Err(RegistryError::Leaving(id)),
            Some(_) => Err(RegistryError::InUse(id)),
            None => self.enter(&mut state, id),
        }
    }

    /// Finds or makes a beancounter, as `setluid(2)` did. One that is leaving
    /// stays, with all its numbers.
    ///
    /// # Errors
    ///
    /// It would be a sub-beancounter without a parent.
    pub fn get_or_create(&self, id: impl Into<UbId>) -> Result<Beancounter, RegistryError> {
        let id = id.into();
        let mut state = self.state.write();
        state.sweep();
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.leaving = false;
            return Ok(entry.beancounter.clone());
        }
        self.enter(&mut state, id)
    }

    /// The beancounter with this id, also one that is leaving. Never makes
    /// one (`setublimit(2)` did not either).
    pub fn get(&self, id: impl Into<UbId>) -> Option<Beancounter> {
        let state = self.state.read();
        let entry = state.entries.get(&id.into()).filter(|entry| !entry.is_over())?;
        Some(entry.beancounter.clone())
    }

    /// The top-level beancounters in the order of
    /// `/proc/user_beancounters`: newest first, the host last.
    pub fn list(&self) -> Vec<Beancounter> {
        self.select(|id| id.parent().is_none())
    }

    /// The sub-beancounters directly below one, newest first.
    pub fn children(&self, parent: impl Into<UbId>) -> Vec<Beancounter> {
        let parent = parent.into();
        self.select(|id| id.parent() == Some(parent))
    }

    /// Those that were removed and are still in use, newest first.
    pub fn leaving(&self) -> Vec<Beancounter> {
        let state = self.state.read();
        state.newest_first(|_, entry| entry.leaving)
    }

    /// Takes the container's end to note. See [`Removal`] for what is left.
    ///
    /// The removed beancounter stays reachable by id until it is over.
    /// Removing it once more reports what it holds now.
    ///
    /// # Errors
    ///
    /// There is none with this id, or it is the host's.
    pub fn remove(&self, id: impl Into<UbId>) -> Result<Removal, RegistryError> {
        let id = id.into();
        if id.is_host() {
            return Err(RegistryError::Host);
        }
        let mut state = self.state.write();
        state.sweep();
        let entry = state.entries.get_mut(&id).ok_or(RegistryError::Unknown(id))?;
        entry.leaving = true;
        entry.beancounter.drain_all_stocks();
        if entry.is_over() {
            state.entries.remove(&id);
            return Ok(Removal::Gone);
        }
        Ok(Removal::Leaving { charged: entry.beancounter.charged().collect() })
    }

    /// Runs with the entries while no id comes or goes.
    pub(crate) fn with_read<T>(&self, act: impl FnOnce(&State) -> T) -> T {
        act(&self.state.read())
    }

    /// Runs with the entries, to change them.
    pub(crate) fn with_write<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write();
        state.sweep();
        act(&mut state)
    }

    /// Enters a new beancounter. The id is free.
    fn enter(&self, state: &mut State, id: UbId) -> Result<Beancounter, RegistryError> {
        let new = match id.parent() {
            None => Beancounter::fresh(id, None, self.defaults.limits()),
            Some(parent) => {
                let parent = state.entries.get(&parent).ok_or(RegistryError::NoParent(id))?;
                let parent = Some(parent.beancounter.clone());
                Beancounter::fresh(id, parent, &PerResource::default())
            }
        };
        state.insert(new.clone());
        Ok(new)
    }

    fn select(&self, wanted: impl Fn(UbId) -> bool) -> Vec<Beancounter> {
        self.state.read().newest_first(|id, _| wanted(id))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    pub(crate) fn insert(&mut self, beancounter: Beancounter) {
        let entry = Entry { age: self.next, leaving: false, beancounter };
        self.next += 1;
        self.entries.insert(entry.beancounter.id(), entry);
    }

    /// Drops those that are over; children first, as they hold their parents.
    fn sweep(&mut self) {
        let leaving = self.entries.iter().rev().filter(|(_, entry)| entry.leaving);
        let ids: Vec<UbId> = leaving.map(|(id, _)| *id).collect();
        for id in ids {
            if self.entries.get(&id).is_some_and(Entry::is_over) {
                self.entries.remove(&id);
            }
        }
    }

    fn newest_first(&self, wanted: impl Fn(UbId, &Entry) -> bool) -> Vec<Beancounter> {
        let of = self.entries.iter().filter(|(id, entry)| wanted(**id, entry) && !entry.is_over());
        let mut of: Vec<(UbId, &Entry)> = of.map(|(id, entry)| (*id, entry)).collect();
        of.sort_by_key(|(id, entry)| (id.container() == ContainerId::HOST, Reverse(entry.age)));
        of.into_iter().map(|(_, entry)| entry.beancounter.clone()).collect()
    }
}

impl Entry {
    /// Removed, not referred to and not charged. Then nobody can charge it
    /// any more: handles come only from other handles, and from this entry
    /// under the registry's lock. Observed use is the kernel's affair and
    /// keeps nothing alive.
    pub(crate) fn is_over(&self) -> bool {
        self.leaving
            && self.beancounter.is_unshared()
            && self.beancounter.charged().next().is_none()
    }
}

#[cfg(test)]
mod tests;
