//! What must hold of a snapshot before anything is restored from it.

use alloc::collections::BTreeMap;

use super::{Restore, SavedBeancounter, SavedResource, Snapshot};
use crate::{LimitsError, RegistryError, Resource, Source, UNLIMITED, UbId};

/// Why a snapshot was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is of another version of the structure.
    #[error("snapshot format {found}; accepted: {}", Snapshot::FORMAT)]
    Format {
        /// The version found.
        found: u32,
    },
    /// It has one id twice.
    #[error("beancounter {id} is twice in the snapshot")]
    Twice {
        /// The id.
        id: UbId,
    },
    /// It does not fit the beancounters that are there.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It has thresholds nobody may set.
    #[error("{resource} of {id}: {reason}")]
    Limits {
        /// Whose row.
        id: UbId,
        /// Which row.
        resource: Resource,
        /// What is wrong.
        reason: LimitsError,
    },
    /// It has a row no beancounter can have.
    #[error("{resource} of {id}: {reason}")]
    Row {
        /// Whose row.
        id: UbId,
        /// Which row.
        resource: Resource,
        /// What is wrong.
        reason: RowError,
    },
}

/// What is wrong with a saved row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// `maxheld` is the highest `held`.
    #[error("maxheld is below held")]
    MaxheldBelowHeld,
    /// `minheld` never passes `maxheld`.
    #[error("minheld is above maxheld")]
    MinheldAboveMaxheld,
    /// Use without anything that used it.
    #[error("a row that was never used holds something")]
    UnusedHolds,
    /// The kernel does not count that far.
    #[error("the observed use is above the maximum {UNLIMITED}")]
    ObservedTooLarge,
    /// What children are charged, their parent is charged too.
    #[error("the children hold more than their parent")]
    BelowChildren,
}

impl Snapshot {
    /// Checks everything that can be checked without a registry.
    pub(super) fn validate(&self, restore: Restore) -> Result<(), SnapshotError> {
        if self.format != Snapshot::FORMAT {
            return Err(SnapshotError::Format { found: self.format });
        }
        let mut by_id = BTreeMap::new();
        for saved in &self.beancounters {
            let id = saved.id;
            if by_id.insert(id, saved).is_some() {
                return Err(SnapshotError::Twice { id });
            }
            for (resource, saved) in saved.resources.iter() {
                let limits = saved.row.limits().checked();
                limits.map_err(|reason| SnapshotError::Limits { id, resource, reason })?;
                let row = saved.check();
                row.map_err(|reason| SnapshotError::Row { id, resource, reason })?;
            }
        }
        if restore == Restore::WithHeld {
            self.validate_sums(&by_id)?;
        }
        Ok(())
    }

    /// A parent holds at least what its children were charged: otherwise the
    /// children could not give all of it back.
    fn validate_sums(
        &self,
        by_id: &BTreeMap<UbId, &SavedBeancounter>,
    ) -> Result<(), SnapshotError> {
        let mut sums: BTreeMap<(UbId, Resource), u64> = BTreeMap::new();
        for child in &self.beancounters {
            let Some(parent) = child.id.parent() else { continue };
            for (resource, saved) in child.resources.iter() {
                if saved.source == Source::Charged {
                    let sum = sums.entry((parent, resource)).or_default();
                    *sum = sum.saturating_add(saved.row.held);
                }
            }
        }
        for ((id, resource), sum) in sums.into_iter().filter(|(_, sum)| *sum > 0) {
            let Some(parent) = by_id.get(&id) else {
                return Err(RegistryError::NoParent(id).into());
            };
            if parent.resources[resource].row.held < sum {
                let reason = RowError::BelowChildren;
                return Err(SnapshotError::Row { id, resource, reason });
            }
        }
        Ok(())
    }
}

impl SavedResource {
    fn check(&self) -> Result<(), RowError> {
        let row = self.row;
        if row.maxheld < row.held {
            return Err(RowError::MaxheldBelowHeld);
        }
        if row.minheld > row.maxheld {
            return Err(RowError::MinheldAboveMaxheld);
        }
        if self.source == Source::Unused && row.held > 0 {
            return Err(RowError::UnusedHolds);
        }
        if self.source == Source::Observed && row.held > UNLIMITED {
            return Err(RowError::ObservedTooLarge);
        }
        Ok(())
    }
}
