use super::*;
use crate::{ChargeError, ContainerId, Limits, Severity};

const RES: Resource = Resource::PhysPages;

fn container() -> Beancounter {
    Beancounter::new(ContainerId::new(101).unwrap())
}

fn see(beancounter: &Beancounter, held: u64, peak: u64) {
    let seen = Observation { held: Some(held), peak: Some(peak), failures: None };
    beancounter.observe(RES, seen).unwrap();
}

fn failures(beancounter: &Beancounter, failures: u64) -> u64 {
    let seen = Observation { failures: Some(failures), ..Observation::default() };
    beancounter.observe(RES, seen).unwrap();
    beancounter.row(RES).failcnt
}

fn maxheld(beancounter: &Beancounter) -> u64 {
    beancounter.row(RES).maxheld
}

#[test]
fn held_follows_what_is_seen_and_maxheld_keeps_the_highest() {
    let beancounter = container();
    for held in [3, 9, 4] {
        beancounter.observe(RES, Observation::held(held)).unwrap();
    }
    let row = beancounter.row(RES);
    assert_eq!((row.held, row.maxheld), (4, 9));
}

#[test]
fn a_peak_between_two_looks_is_not_missed() {
    let beancounter = container();
    see(&beancounter, 3, 50);
    assert_eq!(maxheld(&beancounter), 50);
}

#[test]
fn a_peak_from_before_a_reset_does_not_bring_the_old_maximum_back() {
    let beancounter = container();
    see(&beancounter, 3, 50);
    beancounter.reset_maxheld(RES);
    see(&beancounter, 4, 50);
    assert_eq!(maxheld(&beancounter), 4);
    see(&beancounter, 4, 60);
    assert_eq!(maxheld(&beancounter), 60, "a peak that grew is of this period");
    beancounter.reset_all_maxheld();
    see(&beancounter, 5, 60);
    assert_eq!(maxheld(&beancounter), 5);
}

#[test]
fn the_peak_of_a_new_cgroup_counts_though_it_is_below_the_old_one() {
    let beancounter = container();
    see(&beancounter, 3, 50);
    beancounter.reset_maxheld(RES);
    see(&beancounter, 4, 20);
    assert_eq!(maxheld(&beancounter), 20);
}

#[test]
fn failures_grow_by_what_is_new_and_survive_a_counter_that_starts_again() {
    let beancounter = container();
    assert_eq!(failures(&beancounter, 5), 5);
    assert_eq!(failures(&beancounter, 5), 5, "counted twice");
    assert_eq!(failures(&beancounter, 7), 7);
    assert_eq!(failures(&beancounter, 2), 9, "a new cgroup has failed twice");
    beancounter.reset_maxheld(RES);
    assert_eq!(failures(&beancounter, 3), 10, "a reset is not for failcnt");
}

#[test]
fn what_the_meter_cannot_tell_is_not_taken_for_zero() {
    let beancounter = container();
    see(&beancounter, 7, 8);
    assert_eq!(failures(&beancounter, 3), 3);
    beancounter.observe(RES, Observation::default()).unwrap();
    let row = beancounter.row(RES);
    assert_eq!((row.held, row.maxheld, row.failcnt), (7, 8, 3));
}

#[test]
fn an_observed_row_cannot_be_charged() {
    let beancounter = container();
    beancounter.observe(RES, Observation::held(7)).unwrap();
    let error = ChargeError::Observed { resource: RES, at: beancounter.id() };
    assert_eq!(beancounter.charge_raw(RES, 1, Severity::Force), Err(error));
    assert!(beancounter.uncharge(RES, 1).is_err());
    assert_eq!(beancounter.row(RES).held, 7);
    assert_eq!(beancounter.row(RES).failcnt, 0);
}

#[test]
fn a_charge_below_an_observed_parent_leaves_nothing_behind() {
    let parent = container();
    let child = parent.child(ContainerId::new(1).unwrap()).unwrap();
    parent.observe(RES, Observation::held(7)).unwrap();
    assert!(child.charge_raw(RES, 1, Severity::Hard).is_err());
    assert_eq!((child.row(RES).held, parent.row(RES).held), (0, 7));
}

#[test]
fn a_charged_row_cannot_be_observed() {
    let beancounter = container();
    let charge = beancounter.charge(RES, 2, Severity::Hard).unwrap();
    let error = ObserveError::Charged { resource: RES, at: beancounter.id() };
    assert_eq!(beancounter.observe(RES, Observation::held(9)), Err(error));
    assert_eq!(beancounter.row(RES).held, 2);
    drop(charge);
}

#[test]
fn an_impossible_use_changes_nothing() {
    let beancounter = container();
    see(&beancounter, 1, 2);
    let seen = Observation { held: Some(3), peak: Some(UNLIMITED + 1), failures: Some(9) };
    assert!(beancounter.observe(RES, seen).is_err());
    let row = beancounter.row(RES);
    assert_eq!((row.held, row.maxheld, row.failcnt), (1, 2, 0));
}

#[test]
fn a_use_above_the_limit_is_shown_as_it_is() {
    let beancounter = container();
    beancounter.set_limits(RES, Limits::both(5).unwrap()).unwrap();
    beancounter.observe(RES, Observation::held(8)).unwrap();
    assert_eq!(beancounter.row(RES).held, 8);
    assert_eq!(beancounter.row(RES).failcnt, 0);
}
