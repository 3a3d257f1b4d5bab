use super::*;
use crate::{Defaults, Limits, Observation, RegistryError, Severity, UNLIMITED};

const RES: Resource = Resource::NumFile;
const SEEN: Resource = Resource::PhysPages;

fn id(text: &str) -> UbId {
    text.parse().unwrap()
}

/// A container with a sub-beancounter, charges, a refusal and observations.
fn busy() -> Registry {
    let registry = Registry::new();
    let container = registry.create(id("101")).unwrap();
    let sub = registry.create(id("101.1")).unwrap();
    registry.create(id("7")).unwrap();
    container.set_limits(RES, Limits { barrier: 5, limit: 6 }).unwrap();
    sub.charge_raw(RES, 4, Severity::Hard).unwrap();
    assert!(sub.charge_raw(RES, 3, Severity::Soft).is_err());
    sub.uncharge(RES, 1).unwrap();
    let seen = Observation { held: Some(3), peak: Some(9), failures: Some(2) };
    container.observe(SEEN, seen).unwrap();
    registry
}

fn revive(snapshot: &Snapshot, restore: Restore) -> Registry {
    Registry::from_snapshot(Defaults::new(), snapshot, restore).unwrap()
}

/// Changes one row of a good snapshot and returns why it is refused.
fn refused(change: impl FnOnce(&mut SavedResource)) -> SnapshotError {
    let mut snapshot = busy().snapshot();
    change(&mut snapshot.beancounters[1].resources[RES]);
    Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld).unwrap_err()
}

#[test]
fn a_restarted_daemon_finds_everything_as_it_was() {
    let before = busy().snapshot();
    let registry = revive(&before, Restore::WithHeld);
    assert_eq!(registry.snapshot(), before);
    let sub = registry.get(id("101.1")).unwrap();
    sub.uncharge(RES, 3).unwrap();
    assert_eq!(registry.get(id("101")).unwrap().row(RES).held, 0, "restored with its parent");
    assert!(!sub.underflowed());
}

#[test]
fn a_restarted_daemon_does_not_count_old_failures_again() {
    let registry = revive(&busy().snapshot(), Restore::WithHeld);
    let container = registry.get(id("101")).unwrap();
    let seen = Observation { failures: Some(2), ..Observation::default() };
    container.observe(SEEN, seen).unwrap();
    assert_eq!(container.row(SEEN).failcnt, 2);
}

#[test]
fn a_restored_checkpoint_holds_nothing_yet_but_keeps_its_limits_and_history() {
    let registry = revive(&busy().snapshot(), Restore::WithoutHeld);
    let row = registry.get(id("101")).unwrap().row(RES);
    assert_eq!(row, Row { held: 0, maxheld: 4, minheld: 0, barrier: 5, limit: 6, failcnt: 1 });
    let container = registry.get(id("101")).unwrap();
    let seen = Observation { failures: Some(1), ..Observation::default() };
    container.observe(SEEN, seen).unwrap();
    assert_eq!(container.row(SEEN).failcnt, 3, "the new cgroup counts from 0");
}

#[test]
fn the_order_of_the_list_survives() {
    let order = |registry: &Registry| -> Vec<UbId> {
        registry.list().iter().map(Beancounter::id).collect()
    };
    let registry = busy();
    assert_eq!(order(&revive(&registry.snapshot(), Restore::WithHeld)), order(&registry));
}

#[test]
fn a_container_moves_to_another_registry_with_its_children() {
    let snapshot = busy().snapshot_of(id("101"));
    let other = Registry::new();
    other.restore(&snapshot, Restore::WithHeld).unwrap();
    assert_eq!(other.snapshot_of(id("101")), snapshot);
    assert!(other.get(id("7")).is_none());
}

#[test]
fn a_restore_onto_a_taken_id_changes_nothing() {
    let snapshot = busy().snapshot();
    let registry = Registry::new();
    registry.create(id("101.1").parent().unwrap()).unwrap();
    let before = registry.snapshot();
    let mut without_host = snapshot.clone();
    without_host.beancounters.remove(0);
    let error = registry.restore(&without_host, Restore::WithHeld).unwrap_err();
    assert_eq!(error, RegistryError::InUse(id("101")).into());
    assert_eq!(registry.snapshot(), before);
    assert!(registry.restore(&snapshot, Restore::WithHeld).is_err(), "the host is there");
}

#[test]
fn a_sub_beancounter_is_not_restored_without_its_parent() {
    let snapshot = busy().snapshot_of(id("101.1"));
    let registry = Registry::new();
    for restore in [Restore::WithHeld, Restore::WithoutHeld] {
        let error = registry.restore(&snapshot, restore).unwrap_err();
        assert!(matches!(error, SnapshotError::Registry(RegistryError::NoParent(_))), "{error}");
    }
    registry.create(id("101")).unwrap();
    assert!(registry.restore(&snapshot, Restore::WithHeld).is_err(), "the parent holds nothing");
    registry.restore(&snapshot, Restore::WithoutHeld).unwrap();
    assert!(registry.get(id("101.1")).is_some());
}

#[test]
fn a_removed_container_that_holds_something_is_still_leaving_afterwards() {
    let registry = busy();
    registry.remove(id("101.1")).unwrap();
    let revived = revive(&registry.snapshot(), Restore::WithHeld);
    assert_eq!(revived.create(id("101.1")).unwrap_err(), RegistryError::Leaving(id("101.1")));
    revived.get(id("101.1")).unwrap().uncharge(RES, 3).unwrap();
    assert!(revived.get(id("101.1")).is_none());
}

#[test]
fn another_format_is_not_guessed_at() {
    let mut snapshot = busy().snapshot();
    snapshot.format += 1;
    let error = Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld).unwrap_err();
    assert_eq!(error, SnapshotError::Format { found: 2 });
}

#[test]
fn one_id_twice_is_refused() {
    let mut snapshot = busy().snapshot();
    snapshot.beancounters.push(snapshot.beancounters[1].clone());
    let error = Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld).unwrap_err();
    assert_eq!(error, SnapshotError::Twice { id: id("101") });
}

#[test]
fn rows_no_beancounter_can_have_are_refused_by_name() {
    let row_error = |reason| SnapshotError::Row { id: id("101"), resource: RES, reason };
    assert_eq!(refused(|r| r.row.maxheld = 2), row_error(RowError::MaxheldBelowHeld));
    assert_eq!(refused(|r| r.row.minheld = 5), row_error(RowError::MinheldAboveMaxheld));
    assert_eq!(refused(|r| r.row.held = 2), row_error(RowError::BelowChildren));
    assert_eq!(refused(|r| r.source = Source::Unused), row_error(RowError::UnusedHolds));
    let limits = refused(|r| r.row.limit = UNLIMITED + 1);
    assert!(matches!(limits, SnapshotError::Limits { resource: RES, .. }), "{limits}");
    let observed = refused(|r| {
        r.source = Source::Observed;
        (r.row.held, r.row.maxheld) = (u64::MAX, u64::MAX);
    });
    assert_eq!(observed, row_error(RowError::ObservedTooLarge));
}

#[cfg(feature = "serde")]
#[test]
fn a_snapshot_survives_json_to_the_last_bit() {
    let registry = busy();
    registry.host().charge_raw(RES, UNLIMITED, Severity::Force).unwrap();
    registry.host().charge_raw(RES, 7, Severity::Force).unwrap();
    let snapshot = registry.snapshot();
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    assert!(text.contains(r#""id":"101.1""#), "{text}");
}
