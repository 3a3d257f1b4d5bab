use alloc::format;

use super::*;
use crate::{ChargeError, ContainerId, LimitsError, Severity, TransferError, UNLIMITED, Underflow};

const RES: Resource = Resource::NumProc;

fn top(id: u32) -> Beancounter {
    Beancounter::new(ContainerId::new(id).unwrap())
}

fn below(parent: &Beancounter, id: u32) -> Beancounter {
    parent.child(ContainerId::new(id).unwrap()).unwrap()
}

fn limit(beancounter: &Beancounter, value: u64) {
    beancounter.set_limits(RES, Limits::both(value).unwrap()).unwrap();
}

fn held(beancounter: &Beancounter) -> u64 {
    beancounter.row(RES).held
}

/// Trap 3.
#[test]
fn a_refusal_above_counts_only_there_and_leaves_the_child_its_maxheld() {
    let parent = top(101);
    let child = below(&parent, 1);
    limit(&parent, 3);
    let error = child.charge_raw(RES, 4, Severity::Hard).unwrap_err();
    assert_eq!(error.refusal().unwrap().at, parent.id());

    let row = child.row(RES);
    assert_eq!((row.held, row.maxheld, row.failcnt), (0, 4, 0));
    let row = parent.row(RES);
    assert_eq!((row.held, row.maxheld, row.failcnt), (0, 0, 1));
}

#[test]
fn a_refusal_below_does_not_reach_the_parent() {
    let parent = top(101);
    let child = below(&parent, 1);
    limit(&child, 3);
    assert!(child.charge_raw(RES, 4, Severity::Soft).is_err());
    assert_eq!(parent.row(RES), Row::from_limits(Limits::UNLIMITED));
    assert_eq!(parent.source(RES), Source::Unused);
}

#[test]
fn a_quiet_refusal_counts_at_no_level() {
    let parent = top(101);
    let child = below(&parent, 1);
    limit(&parent, 0);
    assert!(child.charge_raw(RES, 1, Severity::Hard.quiet()).is_err());
    assert_eq!((child.row(RES).failcnt, parent.row(RES).failcnt), (0, 0));
}

#[test]
fn every_level_is_charged_and_gets_it_back() {
    let grandparent = top(101);
    let parent = below(&grandparent, 1);
    let child = below(&parent, 2);
    child.charge_raw(RES, 2, Severity::Hard).unwrap();
    parent.charge_raw(RES, 3, Severity::Hard).unwrap();
    assert_eq!([&child, &parent, &grandparent].map(held), [2, 5, 5]);
    child.uncharge(RES, 2).unwrap();
    assert_eq!([&child, &parent, &grandparent].map(held), [0, 3, 3]);
}

/// Trap 33.
#[test]
fn giving_back_too_much_marks_the_level_and_never_wraps() {
    let parent = top(101);
    let child = below(&parent, 1);
    parent.charge_raw(RES, 10, Severity::Hard).unwrap();
    child.charge_raw(RES, 2, Severity::Hard).unwrap();
    let underflow = Underflow { resource: RES, at: child.id(), asked: 5, charged: 2 };
    assert_eq!(child.uncharge(RES, 5), Err(underflow));
    assert_eq!((held(&child), held(&parent)), (0, 7));
    assert!(child.underflowed());
    assert!(!parent.underflowed(), "the parent had enough");
}

/// Trap 35.
#[test]
fn an_invalid_charge_touches_no_level() {
    let parent = top(101);
    let child = below(&parent, 1);
    limit(&parent, 0);
    let error = child.charge_raw(RES, UNLIMITED + 1, Severity::Hard);
    assert_eq!(error, Err(ChargeError::TooLarge { resource: RES, asked: UNLIMITED + 1 }));
    assert_eq!((child.row(RES).failcnt, parent.row(RES).failcnt), (0, 0));
    assert_eq!(child.row(RES).maxheld, 0);
}

/// Trap 17: moving a task leaves its own unit where it was charged.
#[test]
fn a_unit_charged_before_a_move_stays_with_its_first_owner() {
    let (host, container) = (top(0), top(101));
    let init = host.charge(RES, 1, Severity::Hard).unwrap();
    let child = container.charge(RES, 1, Severity::Hard).unwrap();
    assert_eq!((held(&host), held(&container)), (1, 1));
    drop(init);
    assert_eq!((held(&host), held(&container)), (0, 1));
    drop(child);
}

#[test]
fn a_full_parent_leaves_the_child_as_it_was() {
    let parent = top(101);
    let child = below(&parent, 1);
    for n in [UNLIMITED, UNLIMITED, 1] {
        parent.charge_raw(RES, n, Severity::Force).unwrap();
    }
    let error = child.charge_raw(RES, 1, Severity::Force).unwrap_err();
    let full = ChargeError::Full { resource: RES, at: parent.id(), asked: 1, held: u64::MAX };
    assert_eq!(error, full);
    assert_eq!(held(&child), 0);
}

#[test]
fn limits_are_set_for_all_resources_or_for_none() {
    let beancounter = top(101);
    let good = Limits::both(5).unwrap();
    let bad = Limits { barrier: 1, limit: u64::MAX };
    let error = beancounter.set_many(&[(RES, good), (Resource::NumPty, bad)]).unwrap_err();
    assert_eq!(error.resource, Resource::NumPty);
    assert_eq!(error.reason, LimitsError::LimitTooLarge(u64::MAX));
    assert_eq!(beancounter.limits(RES), Limits::UNLIMITED);

    beancounter.set_many(&[(RES, good), (Resource::NumPty, good)]).unwrap();
    assert_eq!(beancounter.limits(RES), good);
    assert_eq!(beancounter.limits(Resource::NumPty), good);
}

#[test]
fn a_barrier_above_the_limit_is_accepted_as_the_kernel_did() {
    let odd = Limits { barrier: 9, limit: 5 };
    let beancounter = top(101);
    beancounter.set_limits(RES, odd).unwrap();
    assert_eq!(beancounter.limits(RES), odd);
}

#[test]
fn a_transfer_does_not_ask_the_levels_both_share() {
    let parent = top(101);
    let (from, to) = (below(&parent, 1), below(&parent, 2));
    limit(&parent, 5);
    from.charge_raw(RES, 5, Severity::Hard).unwrap();
    from.transfer(&to, RES, 5, Severity::Hard).unwrap();
    assert_eq!([&from, &to, &parent].map(held), [0, 5, 5]);
    assert_eq!(parent.row(RES).maxheld, 5, "charged twice for a moment");
}

#[test]
fn a_transfer_up_or_down_the_line_charges_only_the_difference() {
    let parent = top(101);
    let child = below(&parent, 1);
    parent.charge_raw(RES, 3, Severity::Hard).unwrap();
    parent.transfer(&child, RES, 3, Severity::Hard).unwrap();
    assert_eq!((held(&child), held(&parent)), (3, 3));
    child.transfer(&parent, RES, 2, Severity::Hard).unwrap();
    assert_eq!((held(&child), held(&parent)), (1, 3));
    child.transfer(&child, RES, 1, Severity::Hard).unwrap();
    assert_eq!((held(&child), held(&parent)), (1, 3));
}

#[test]
fn a_refused_transfer_leaves_the_units_where_they_were() {
    let (from, to) = (top(101), top(102));
    limit(&to, 1);
    from.charge_raw(RES, 2, Severity::Hard).unwrap();
    let error = from.transfer(&to, RES, 2, Severity::Hard);
    assert!(matches!(error, Err(TransferError::Refused(_))));
    assert_eq!((held(&from), held(&to)), (2, 0));
    assert_eq!((from.row(RES).failcnt, to.row(RES).failcnt), (0, 1));
}

#[test]
fn a_transfer_of_more_than_there_is_says_so() {
    let (from, to) = (top(101), top(102));
    from.charge_raw(RES, 1, Severity::Hard).unwrap();
    let error = from.transfer(&to, RES, 3, Severity::Hard);
    assert!(matches!(error, Err(TransferError::Underflow(_))));
    assert!(from.underflowed());
}

#[test]
fn a_reset_of_one_resource_leaves_the_others_alone() {
    let beancounter = top(101);
    for resource in [RES, Resource::NumFile] {
        drop(beancounter.charge(resource, 9, Severity::Hard).unwrap());
    }
    beancounter.reset_maxheld(RES);
    assert_eq!(beancounter.row(RES).maxheld, 0);
    assert_eq!(beancounter.row(Resource::NumFile).maxheld, 9);
    beancounter.reset_all_maxheld();
    assert_eq!(beancounter.row(Resource::NumFile).maxheld, 0);
}

#[test]
fn a_counted_refusal_stays_at_its_level() {
    let parent = top(101);
    let child = below(&parent, 1);
    child.count_refusal(Resource::OomGuarPages);
    assert_eq!(child.row(Resource::OomGuarPages).failcnt, 1);
    assert_eq!(parent.row(Resource::OomGuarPages).failcnt, 0);
}

#[test]
fn a_hierarchy_has_a_deepest_level() {
    let mut deepest = top(1);
    for id in 2..=4 {
        deepest = below(&deepest, id);
    }
    let error = deepest.child(ContainerId::HOST).unwrap_err();
    assert_eq!(error, TooDeep { id: deepest.id() });
}

#[test]
fn readers_that_take_turns_do_not_take_the_line_the_way_up_is_on() {
    let node = &*top(101).node;
    let line = |address: usize| address / 128;
    let control = line(core::ptr::from_ref(&node.control).addr());
    assert_ne!(line(core::ptr::from_ref(&node.parent).addr()), control);
    assert_ne!(line(core::ptr::from_ref(&node.id).addr()), control);
}

#[test]
fn debug_output_names_what_is_held() {
    let beancounter = top(101);
    beancounter.charge_raw(RES, 2, Severity::Hard).unwrap();
    assert_eq!(format!("{beancounter:?}"), "Beancounter { id: UbId(101), numproc: 2, .. }");
}

#[test]
fn handles_and_guards_may_cross_threads() {
    fn may_cross<T: Send + Sync + 'static>() {}
    may_cross::<Beancounter>();
    may_cross::<crate::Charge>();
    may_cross::<crate::ChargeSet>();
    may_cross::<crate::Registry>();
}
