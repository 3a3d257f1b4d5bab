//! What went wrong inside the programs.

use crate::layout;

/// What went wrong inside the programs, by kind. All should be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Objects for which there was no room: their operations were refused.
    pub objects_full: u64,
    /// Records that outlived their object: an end that no program saw.
    pub stale_objects: u64,
    /// More given back than was held.
    pub underflows: u64,
    /// Cgroups for which there was no room: their tasks are not counted.
    pub members_full: u64,
    /// No memory for notes about a task.
    pub storage: u64,
    /// Operations that could not be looked at.
    pub unseen: u64,
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Faults { objects_full, stale_objects, underflows, members_full, storage, unseen } =
            *self;
        let kinds = [
            ("objects without room", objects_full),
            ("stale objects", stale_objects),
            ("underflows", underflows),
            ("cgroups without room", members_full),
            ("notes without memory", storage),
            ("operations unseen", unseen),
        ];
        let mut told = kinds.into_iter().filter(|(_, count)| *count > 0);
        let Some((kind, count)) = told.next() else { return f.write_str("no faults") };
        write!(f, "{count} {kind}")?;
        told.try_for_each(|(kind, count)| write!(f, ", {count} {kind}"))
    }
}

impl Faults {
    pub(super) fn of(counts: &[u64; layout::FAULTS]) -> Faults {
        let [objects_full, stale_objects, underflows, members_full, storage, unseen, ..] = *counts;
        Faults { objects_full, stale_objects, underflows, members_full, storage, unseen }
    }
}
