//! Every interleaving of two threads on one counter, one property each.
//!
//! ```text
//! CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" \
//!     cargo test -p ubc-core --release --test loom_counter
//! ```
//!
//! loom also tries the values a weaker memory model than x86 may return. All
//! of it takes 22 s on one busy core, nearly all of that in the last model.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic here is the failure report")]

use loom::sync::atomic::{AtomicBool, Ordering};
use ubc_core::{Beancounter, Charge, ContainerId, Counter, Denied, Limits, Resource, Severity};

mod interleave;

use interleave::race;

const RES: Resource = Resource::NumProc;

fn limited(limit: u64) -> Counter {
    let counter = Counter::new();
    counter.set_limits(Limits::both(limit).unwrap()).unwrap();
    counter
}

fn holding(held: u64, limit: u64) -> Counter {
    let counter = limited(limit);
    counter.charge(held, Severity::Force).unwrap();
    counter
}

#[test]
fn two_chargers_never_pass_the_limit_between_them() {
    race(
        || limited(3),
        |counter| counter.charge(2, Severity::Hard).is_ok(),
        |counter| counter.charge(2, Severity::Hard).is_ok(),
        |counter, a, b| {
            assert!(a ^ b, "one fits, two do not");
            let row = counter.row();
            assert_eq!((row.held, row.maxheld, row.failcnt), (2, 2, 1));
        },
    );
}

#[test]
fn nobody_ever_sees_more_than_the_limit_in_use() {
    race(
        || limited(2),
        |counter| (counter.charge(2, Severity::Hard).is_ok(), counter.charge(1, Severity::Hard)),
        Counter::held,
        |_, (fitted, second), seen| {
            assert!(fitted && second.is_err());
            assert!(seen <= 2, "{seen} in use");
        },
    );
}

#[test]
fn an_attempt_that_fails_never_makes_a_smaller_one_fail() {
    race(
        || limited(3),
        |counter| counter.charge(4, Severity::Hard).is_ok(),
        |counter| counter.charge(3, Severity::Hard).is_ok(),
        |counter, large, small| {
            assert!(!large && small);
            assert_eq!(counter.row().failcnt, 1);
        },
    );
}

#[test]
fn no_charge_is_lost_and_no_mark_falls_behind() {
    race(
        || limited(9),
        |counter| counter.charge(2, Severity::Hard).unwrap(),
        |counter| counter.charge(3, Severity::Hard).unwrap(),
        |counter, (), ()| {
            assert_eq!(counter.held(), 5);
            // Without what is held, `row` shows the mark itself.
            counter.uncharge(5).unwrap();
            assert_eq!(counter.row().maxheld, 5);
        },
    );
}

#[test]
fn a_charge_beside_an_uncharge_loses_neither() {
    race(
        || holding(2, 2),
        |counter| counter.charge(1, Severity::Hard).is_ok(),
        |counter| counter.uncharge(1).unwrap(),
        |counter, fitted, ()| {
            let row = counter.row();
            assert_eq!((row.held, row.maxheld), (1 + u64::from(fitted), 2));
            assert_eq!(row.failcnt, u64::from(!fitted));
        },
    );
}

#[test]
fn two_that_give_back_the_same_units_never_wrap() {
    race(
        || holding(3, 9),
        |counter| counter.uncharge(2).is_ok(),
        |counter| counter.uncharge(2).is_ok(),
        |counter, a, b| {
            assert!(a ^ b, "exactly one is told");
            assert_eq!(counter.held(), 0);
        },
    );
}

/// Of (1, 9) and (9, 1) the lower is always 1. A charge that mixed the pairs
/// would find 9.
#[test]
fn a_charge_beside_a_change_of_limits_is_measured_against_one_pair() {
    race(
        || {
            let counter = Counter::new();
            counter.set_limits(Limits { barrier: 1, limit: 9 }).unwrap();
            counter
        },
        |counter| counter.set_limits(Limits { barrier: 9, limit: 1 }).unwrap(),
        |counter| counter.charge(5, Severity::Hard),
        |counter, (), result| {
            let Err(Denied::Over { held: 0, limits }) = result else {
                panic!("accepted, or refused without reason: {result:?}");
            };
            assert!([(1, 9), (9, 1)].contains(&(limits.barrier, limits.limit)));
            assert_eq!(counter.row().failcnt, 1);
        },
    );
}

#[test]
fn the_numbers_of_a_refusal_explain_it_whatever_is_set_meanwhile() {
    race(
        || limited(1),
        |counter| counter.set_limits(Limits { barrier: 5, limit: 5 }).unwrap(),
        |counter| counter.charge(3, Severity::Soft),
        |counter, (), result| match result {
            Ok(()) => assert_eq!((counter.held(), counter.row().failcnt), (3, 0)),
            Err(Denied::Over { held, limits }) => {
                assert!(held + 3 > limits.limit);
                assert_eq!((counter.held(), counter.row().failcnt), (0, 1));
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn a_pair_is_never_half_of_each() {
    race(
        || limited(1),
        |counter| counter.set_limits(Limits { barrier: 2, limit: 2 }).unwrap(),
        Counter::limits,
        |counter, (), pair| {
            assert_eq!(pair.barrier, pair.limit);
            assert_eq!(counter.limits().limit, 2);
        },
    );
}

#[test]
fn two_setters_leave_one_whole_pair() {
    race(
        || limited(1),
        |counter| counter.set_limits(Limits { barrier: 2, limit: 2 }).unwrap(),
        |counter| counter.set_limits(Limits { barrier: 3, limit: 3 }).unwrap(),
        |counter, (), ()| {
            let pair = counter.limits();
            assert_eq!(pair.barrier, pair.limit);
            // The word HARD reads belongs to the same pair.
            counter.charge(pair.barrier, Severity::Hard).unwrap();
            assert!(counter.charge(1, Severity::Hard).is_err());
        },
    );
}

#[test]
fn a_reset_beside_a_charge_leaves_no_mark_on_the_wrong_side_of_held() {
    race(
        || {
            let counter = holding(4, 9);
            counter.uncharge(3).unwrap();
            counter
        },
        Counter::reset_maxheld,
        |counter| counter.charge(2, Severity::Hard).unwrap(),
        |counter, (), ()| {
            // Without what is held, `row` shows the mark itself.
            counter.uncharge(3).unwrap();
            let row = counter.row();
            assert_eq!(row.maxheld, 3);
            assert!(row.minheld <= 3);
        },
    );
}

#[test]
fn a_row_read_beside_a_charge_has_maxheld_at_or_above_held() {
    race(
        || limited(9),
        |counter| counter.charge(2, Severity::Hard).unwrap(),
        Counter::row,
        |_, (), row| assert!(row.maxheld >= row.held),
    );
}

#[test]
fn what_was_done_before_giving_back_is_seen_by_the_charge_that_fits_because_of_it() {
    race(
        || (holding(1, 1), AtomicBool::new(false)),
        |(counter, freed)| {
            freed.store(true, Ordering::Relaxed);
            counter.uncharge(1).unwrap();
        },
        |(counter, freed)| {
            if counter.charge(1, Severity::Hard).is_ok() {
                assert!(freed.load(Ordering::Relaxed), "the units were still in use");
            }
        },
        |_, (), ()| (),
    );
}

/// A parent that has room for `limit`, and two children.
fn family(limit: u64) -> [Beancounter; 3] {
    let id = |n| ContainerId::new(n).unwrap();
    let parent = Beancounter::new(id(101));
    parent.set_limits(RES, Limits::both(limit).unwrap()).unwrap();
    let child = |n| parent.child(id(n)).unwrap();
    [child(1), child(2), parent]
}

fn held(beancounter: &Beancounter) -> u64 {
    beancounter.row(RES).held
}

#[test]
fn a_refusal_at_the_parent_leaves_the_child_clean() {
    race(
        || family(1),
        |[child, _, _]| child.charge_raw(RES, 1, Severity::Hard).is_ok(),
        |[_, child, _]| child.charge_raw(RES, 1, Severity::Hard).is_ok(),
        |[first, second, parent], a, b| {
            assert!(a ^ b);
            assert_eq!((held(first), held(second)), (u64::from(a), u64::from(b)));
            let row = parent.row(RES);
            assert_eq!((row.held, row.failcnt), (1, 1));
            assert_eq!((first.row(RES).failcnt, second.row(RES).failcnt), (0, 0));
        },
    );
}

#[test]
fn a_transfer_beside_a_charge_neither_makes_nor_loses_units() {
    race(
        || {
            let family = family(3);
            let charge = family[0].charge(RES, 1, Severity::Hard).unwrap();
            let _ = charge.forget();
            family
        },
        |[from, to, _]| from.transfer(to, RES, 1, Severity::Hard).unwrap(),
        |[from, _, _]| from.charge(RES, 1, Severity::Hard).map(Charge::forget).unwrap(),
        |[from, to, parent], (), _| {
            assert_eq!((held(from), held(to), held(parent)), (1, 1, 2));
            assert_eq!(parent.row(RES).maxheld, 2, "the shared level was charged twice");
        },
    );
}

#[test]
fn guards_dropped_side_by_side_leave_nothing_behind() {
    race(
        || family(2),
        |[child, _, _]| drop(child.charge(RES, 1, Severity::Hard).unwrap()),
        |[child, _, _]| drop(child.charge_scoped(RES, 1, Severity::Hard).unwrap()),
        |[child, _, parent], (), ()| {
            assert_eq!((held(child), held(parent)), (0, 0));
            assert!(!child.underflowed() && !parent.underflowed());
        },
    );
}
