//! The state of a registry as plain data.

use alloc::vec::Vec;

use crate::{Baseline, Beancounter, PerResource, Registry, Resource, Row, Source, UbId};

mod restore;
mod validate;

pub use validate::{RowError, SnapshotError};

/// The state of a registry, or of a part of it, as plain data; with feature
/// `serde` in any format.
///
/// It is exact when nothing is charged meanwhile. Otherwise each row is sound
/// in itself, but a charge on its way up may be in a child and not yet in its
/// parent, which [`Registry::restore`] does not accept with
/// [`Restore::WithHeld`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    /// The version of this structure: [`Snapshot::FORMAT`].
    pub format: u32,
    /// Oldest first, so parents before their children.
    pub beancounters: Vec<SavedBeancounter>,
}

/// The state of one beancounter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedBeancounter {
    /// Its full id.
    pub id: UbId,
    /// Whether it was removed and only waits for its last charge.
    pub leaving: bool,
    /// Whether more was ever given back than was charged.
    pub underflowed: bool,
    /// Its resources.
    pub resources: PerResource<SavedResource>,
}

/// The state of one resource of one beancounter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedResource {
    /// Its numbers.
    pub row: Row,
    /// Who owns them.
    pub source: Source,
    /// What was taken over from the kernel's counters so far.
    pub baseline: Baseline,
}

/// What a restore brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restore {
    /// Everything, for a daemon that was restarted while the containers ran
    /// on: what was held is held, and whoever charged it gives it back.
    WithHeld,
    /// Everything but what was held, as OpenVZ's checkpoint and restore: the
    /// processes that come back charge again. Kernel counters are taken to
    /// start from 0, as their cgroups are new.
    WithoutHeld,
}

impl Snapshot {
    /// The version of the structure this library writes and reads.
    pub const FORMAT: u32 = 1;
}

impl Registry {
    /// The state of all beancounters.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_where(|_| true)
    }

    /// The state of one beancounter and those below it; empty if there is
    /// none with this id.
    pub fn snapshot_of(&self, id: impl Into<UbId>) -> Snapshot {
        let id = id.into();
        self.snapshot_where(|other| {
            core::iter::successors(Some(other), |id| id.parent()).any(|above| above == id)
        })
    }

    fn snapshot_where(&self, wanted: impl Fn(UbId) -> bool) -> Snapshot {
        let beancounters = self.with_read(|state| {
            let mut chosen: Vec<_> = state.entries.values().collect();
            chosen.retain(|entry| wanted(entry.beancounter.id()) && !entry.is_over());
            chosen.sort_by_key(|entry| entry.age);
            chosen.into_iter().map(|entry| entry.beancounter.save(entry.leaving)).collect()
        });
        Snapshot { format: Snapshot::FORMAT, beancounters }
    }
}

impl Beancounter {
    fn save(&self, leaving: bool) -> SavedBeancounter {
        let resources = self.with_baselines(|baselines| {
            PerResource::from_fn(|resource: Resource| SavedResource {
                row: self.shown(resource),
                source: self.source(resource),
                baseline: baselines[resource],
            })
        });
        SavedBeancounter { id: self.id(), leaving, underflowed: self.underflowed(), resources }
    }
}

#[cfg(test)]
mod tests;
