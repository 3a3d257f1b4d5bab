//! The state of a registry as JSON.

use ubc_core::{
    Baseline, ContainerId, Defaults, Registry, Restore, SavedBeancounter, SavedResource, Snapshot,
    Source,
};

use super::assert_one_line;

/// A snapshot that is restored gives the same snapshot again; one that is
/// refused changes nothing.
///
/// # Panics
///
/// If that does not hold.
pub fn snapshot_json(data: &[u8]) {
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(data) else { return };
    let Ok(text) = serde_json::to_vec(&snapshot) else {
        panic!("a snapshot that was read cannot be written");
    };
    assert_eq!(serde_json::from_slice::<Snapshot>(&text).ok().as_ref(), Some(&snapshot));

    let with = restored(&snapshot, Restore::WithHeld);
    let without = restored(&snapshot, Restore::WithoutHeld);
    assert!(without || !with, "it is refused when less of it is restored");
    added(&snapshot);
}

/// To a registry of its own; whether it was accepted.
fn restored(snapshot: &Snapshot, restore: Restore) -> bool {
    let registry = match Registry::from_snapshot(Defaults::new(), snapshot, restore) {
        Ok(registry) => registry,
        Err(error) => {
            assert_one_line(&error.to_string());
            return false;
        }
    };
    let mut again = registry.snapshot();
    if !snapshot.beancounters.iter().any(|saved| saved.id.is_host()) {
        let host = again.beancounters.remove(0);
        assert!(host.id.is_host(), "{} instead of a new host", host.id);
    }
    assert_eq!(again, expected(snapshot, restore));
    let revived = Registry::from_snapshot(Defaults::new(), &again, restore);
    let revived = revived.map(|registry| {
        let mut third = registry.snapshot().beancounters;
        third.retain(|saved| !saved.id.is_host());
        third
    });
    again.beancounters.retain(|saved| !saved.id.is_host());
    if snapshot.beancounters.iter().all(|saved| !saved.leaving) {
        assert_eq!(revived, Ok(again.beancounters));
    }
    true
}

/// To one that has a container already.
fn added(snapshot: &Snapshot) {
    let registry = Registry::new();
    assert!(registry.create(ContainerId::HOST).is_err());
    let taken = ContainerId::new(101).map(|id| registry.create(id).is_ok());
    assert_eq!(taken, Ok(true));
    let before = registry.snapshot();
    let result = registry.restore(snapshot, Restore::WithHeld);
    let mut after = registry.snapshot();
    if result.is_ok() {
        let new = after.beancounters.split_off(before.beancounters.len());
        assert_eq!(new, expected(snapshot, Restore::WithHeld).beancounters);
    }
    assert_eq!(after, before, "{result:?}");
}

/// What a restored snapshot looks like: without those that were only waiting
/// for what is not restored.
fn expected(snapshot: &Snapshot, restore: Restore) -> Snapshot {
    let all = &snapshot.beancounters;
    let of = |saved: &SavedBeancounter| {
        let mut saved = saved.clone();
        if restore == Restore::WithoutHeld {
            saved.underflowed = false;
            for (_, resource) in saved.resources.iter_mut() {
                let SavedResource { mut row, source, .. } = *resource;
                row.held = 0;
                *resource = SavedResource { row, source, baseline: Baseline::default() };
            }
        }
        saved
    };
    let waits = |saved: &SavedBeancounter| {
        let charged = |saved: &SavedResource| saved.source == Source::Charged && saved.row.held > 0;
        saved.resources.iter().any(|(_, resource)| charged(resource))
            || all.iter().any(|other| other.id.parent() == Some(saved.id))
    };
    let beancounters = all.iter().map(of).filter(|saved| !saved.leaving || waits(saved)).collect();
    Snapshot { format: Snapshot::FORMAT, beancounters }
}
