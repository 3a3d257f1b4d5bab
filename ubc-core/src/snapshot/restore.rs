//! Putting a snapshot back: all of it, or nothing.

use alloc::collections::BTreeMap;

use super::{Restore, SavedBeancounter, SavedResource, Snapshot, SnapshotError};
use crate::registry::State;
use crate::sync::RwLock;
use crate::{
    Baseline, Beancounter, ContainerId, Counter, Defaults, PerResource, Registry, RegistryError,
    Row, UbId,
};

impl Registry {
    /// A registry as it was when the snapshot was taken, for a daemon that
    /// starts again. A snapshot without the host gets a new one.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    pub fn from_snapshot(
        defaults: Defaults,
        snapshot: &Snapshot,
        restore: Restore,
    ) -> Result<Registry, SnapshotError> {
        let mut state = State::default();
        if !snapshot.beancounters.iter().any(|saved| saved.id.is_host()) {
            state.insert(Beancounter::new(ContainerId::HOST));
        }
        state.restore(snapshot, restore)?;
        let host = state.entries.get(&UbId::HOST).map(|entry| entry.beancounter.clone());
        let host = host.ok_or(RegistryError::Unknown(UbId::HOST))?;
        Ok(Registry { defaults, host, state: RwLock::new(state) })
    }

    /// Adds the beancounters of a snapshot to this registry: all, or none.
    /// They count as newer than those that are there.
    ///
    /// No id may be taken, the host's included. A parent that is not in the
    /// snapshot must be here; with [`Restore::WithHeld`] it must be in the
    /// snapshot if its children hold anything, as it holds the same units.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    pub fn restore(&self, snapshot: &Snapshot, restore: Restore) -> Result<(), SnapshotError> {
        self.with_write(|state| state.restore(snapshot, restore))
    }
}

impl State {
    fn restore(&mut self, snapshot: &Snapshot, restore: Restore) -> Result<(), SnapshotError> {
        snapshot.validate(restore)?;
        // In the order of ids a parent comes before its children.
        let mut in_order: BTreeMap<UbId, &SavedBeancounter> = BTreeMap::new();
        for saved in &snapshot.beancounters {
            match self.entries.get(&saved.id) {
                Some(entry) if entry.leaving => return Err(RegistryError::Leaving(saved.id).into()),
                Some(_) => return Err(RegistryError::InUse(saved.id).into()),
                None if saved.id.is_host() && saved.leaving => {
                    return Err(RegistryError::Host.into());
                }
                None => in_order.insert(saved.id, saved),
            };
        }
        let mut made: BTreeMap<UbId, Beancounter> = BTreeMap::new();
        for (id, saved) in in_order {
            let parent = match id.parent() {
                None => None,
                Some(above) => {
                    let here = self.entries.get(&above).map(|entry| &entry.beancounter);
                    let parent = made.get(&above).or(here);
                    Some(parent.ok_or(RegistryError::NoParent(id))?.clone())
                }
            };
            made.insert(id, saved.make(parent, restore));
        }
        // Nothing fails from here on. In the snapshot's order, which is by age.
        for saved in &snapshot.beancounters {
            if let Some(beancounter) = made.remove(&saved.id) {
                self.insert(beancounter);
                if let Some(entry) = self.entries.get_mut(&saved.id) {
                    entry.leaving = saved.leaving;
                }
            }
        }
        Ok(())
    }
}

impl SavedBeancounter {
    fn make(&self, parent: Option<Beancounter>, restore: Restore) -> Beancounter {
        let resources = PerResource::from_fn(|resource| self.resources[resource].after(restore));
        let counter = |resource| {
            let SavedResource { row, source, .. } = resources[resource];
            Counter::restored(&row, source)
        };
        let baselines = PerResource::from_fn(|resource| resources[resource].baseline);
        // What was held is what may have gone wrong.
        let underflowed = self.underflowed && restore == Restore::WithHeld;
        Beancounter::assemble(
            self.id,
            parent,
            PerResource::from_fn(counter),
            &baselines,
            underflowed,
        )
    }
}

impl SavedResource {
    /// What is restored of it.
    fn after(&self, restore: Restore) -> SavedResource {
        match restore {
            Restore::WithHeld => *self,
            Restore::WithoutHeld => SavedResource {
                row: Row { held: 0, ..self.row },
                source: self.source,
                baseline: Baseline::default(),
            },
        }
    }
}
