use alloc::format;

use super::*;
use crate::{ContainerId, Limits, Severity};

const RES: Resource = Resource::NumFile;

fn top(id: u32) -> Beancounter {
    Beancounter::new(ContainerId::new(id).unwrap())
}

fn held(beancounter: &Beancounter) -> u64 {
    beancounter.row(RES).held
}

#[test]
fn a_dropped_guard_gives_everything_back() {
    let beancounter = top(101);
    let charge = beancounter.charge(RES, 3, Severity::Hard).unwrap();
    assert_eq!(format!("{charge:?}"), "Charge(3 numfile of 101)");
    assert_eq!(held(&beancounter), 3);
    drop(charge);
    assert_eq!(held(&beancounter), 0);
    assert!(!beancounter.underflowed());
}

/// Trap 20.
#[test]
fn a_guard_dropped_elsewhere_goes_back_to_its_recorded_owner() {
    let (mine, other) = (top(101), top(102));
    let kept = other.charge(RES, 1, Severity::Hard).unwrap();
    let charge = mine.charge(RES, 1, Severity::Hard).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _current = other.charge(RES, 1, Severity::Hard).unwrap();
            drop(charge);
        });
    });
    assert_eq!((held(&mine), held(&other)), (0, 1));
    drop(kept);
}

#[test]
fn a_guard_keeps_its_beancounter_alive() {
    let charge = top(101).charge(RES, 2, Severity::Hard).unwrap();
    assert_eq!(held(charge.owner()), 2);
}

#[test]
fn a_borrowed_guard_gives_back_too() {
    let beancounter = top(101);
    {
        let mut charge = beancounter.charge_scoped(RES, 2, Severity::Hard).unwrap();
        let part = charge.split(1).unwrap();
        assert_eq!((charge.amount(), part.amount(), held(&beancounter)), (1, 1, 2));
    }
    assert_eq!(held(&beancounter), 0);
}

#[test]
fn a_split_neither_makes_nor_loses_units() {
    let beancounter = top(101);
    let mut charge = beancounter.charge(RES, 5, Severity::Hard).unwrap();
    assert!(charge.split(6).is_none());
    assert_eq!(charge.amount(), 5, "a split that failed took something");
    let part = charge.split(2).unwrap();
    drop(charge);
    assert_eq!(held(&beancounter), 2);
    drop(part);
    assert_eq!(held(&beancounter), 0);
}

#[test]
fn guards_of_different_owners_do_not_merge() {
    let (a, b) = (top(101), top(101));
    let mut one = a.charge(RES, 1, Severity::Hard).unwrap();
    let other = b.charge(RES, 2, Severity::Hard).unwrap();
    let other = one.merge(other).unwrap_err();
    assert_eq!((one.amount(), other.amount()), (1, 2));
    let pty = a.charge(Resource::NumPty, 1, Severity::Hard).unwrap();
    assert!(one.merge(pty).is_err());
    one.merge(a.charge(RES, 4, Severity::Hard).unwrap()).unwrap();
    assert_eq!((one.amount(), held(&a)), (5, 5));
    drop(one);
    assert_eq!(held(&a), 0);
}

#[test]
fn a_guard_that_cannot_grow_keeps_what_it_has() {
    let beancounter = top(101);
    beancounter.set_limits(RES, Limits::both(3).unwrap()).unwrap();
    let mut charge = beancounter.charge(RES, 2, Severity::Hard).unwrap();
    assert!(charge.grow(2, Severity::Hard).is_err());
    assert_eq!(charge.amount(), 2);
    charge.grow(1, Severity::Hard).unwrap();
    drop(charge);
    assert_eq!(held(&beancounter), 0);
}

#[test]
fn forgotten_units_stay_charged_until_a_table_gives_them_back() {
    let beancounter = top(101);
    let n = beancounter.charge(RES, 4, Severity::Hard).unwrap().forget();
    assert_eq!((n, held(&beancounter)), (4, 4));
    drop(Charge::adopt(beancounter.clone(), RES, n));
    assert_eq!(held(&beancounter), 0);
    assert!(!beancounter.underflowed());
}

#[test]
fn a_moved_guard_gives_back_to_its_new_owner() {
    let (from, to) = (top(101), top(102));
    let mut charge = from.charge(RES, 3, Severity::Hard).unwrap();
    charge.transfer(to.clone(), Severity::Hard).unwrap();
    assert_eq!((held(&from), held(&to)), (0, 3));
    drop(charge);
    assert_eq!(held(&to), 0);
    assert!(!from.underflowed() && !to.underflowed());
}

#[test]
fn a_refused_move_leaves_the_guard_with_its_old_owner() {
    let (from, to) = (top(101), top(102));
    to.set_limits(RES, Limits::both(2).unwrap()).unwrap();
    let mut charge = from.charge(RES, 3, Severity::Hard).unwrap();
    let error = charge.transfer(to.clone(), Severity::Soft).unwrap_err();
    assert_eq!(error.refusal().unwrap().at, to.id());
    assert!(charge.owner().is(&from));
    assert_eq!((held(&from), held(&to)), (3, 0));
}

#[test]
fn units_given_back_behind_a_guard_are_marked_not_wrapped() {
    let beancounter = top(101);
    let charge = beancounter.charge(RES, 3, Severity::Hard).unwrap();
    beancounter.uncharge(RES, 1).unwrap();
    drop(charge);
    assert_eq!(held(&beancounter), 0);
    assert!(beancounter.underflowed());
}
