use crate::{Beancounter, ContainerId, Limits, Registry, Removal, Resource, Severity};

const RES: Resource = Resource::NumFile;

fn limited(limit: u64) -> Beancounter {
    let container = Beancounter::new(ContainerId::new(101).unwrap());
    container.set_limits(RES, Limits::both(limit).unwrap()).unwrap();
    container
}

#[test]
fn what_is_idle_is_neither_held_nor_charged_nor_shown() {
    let container = limited(1000);
    let stock = container.stock(RES);
    stock.charge_raw(3, Severity::Hard).unwrap();
    assert_eq!(container.row(RES).held, 3);
    assert_eq!(container.reading().rows[RES].held, 3);
    assert_eq!(container.charged().collect::<Vec<_>>(), [(RES, 3)]);
    assert_eq!(format!("{container:?}"), "Beancounter { id: UbId(101), numfile: 3, .. }");
    assert!(container.counter(RES).held() > 3, "there was no stock to leave out");
}

#[test]
fn a_stock_dropped_gives_back_at_every_level() {
    let container = limited(1000);
    let child = container.child(ContainerId::new(1).unwrap()).unwrap();
    let stock = child.stock(RES);
    stock.charge_raw(3, Severity::Hard).unwrap();
    drop(stock);
    assert_eq!((child.counter(RES).held(), container.counter(RES).held()), (3, 3));
}

#[test]
fn a_full_stock_gives_back_and_does_not_grow_for_ever() {
    let container = limited(1 << 40);
    let stock = container.stock(RES);
    container.charge_raw(RES, 10_000, Severity::Hard).unwrap();
    for _ in 0..10_000 {
        stock.uncharge(1).unwrap();
    }
    let idle = container.counter(RES).held();
    assert!(idle <= 64, "{idle} idle");
    assert_eq!(container.row(RES).held, 0);
}

#[test]
fn an_unlimited_row_has_a_bounded_stock() {
    let container = Beancounter::new(ContainerId::new(101).unwrap());
    let stock = container.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap();
    assert!(container.counter(RES).held() <= 64);
}

#[test]
fn a_sibling_is_not_refused_for_what_is_idle_below_the_shared_parent() {
    let parent = limited(100);
    let child = |n| parent.child(ContainerId::new(n).unwrap()).unwrap();
    let (one, two) = (child(1), child(2));
    let stock = one.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap();
    assert!(parent.counter(RES).held() > 1);
    two.charge_raw(RES, 99, Severity::Hard).unwrap();
    let refusal = two.charge_raw(RES, 1, Severity::Hard).unwrap_err();
    assert_eq!(refusal.refusal().unwrap().held, 100);
    assert_eq!((parent.row(RES).failcnt, two.row(RES).failcnt), (1, 0));
    // Its owner finds out, and is refused for a reason.
    stock.charge_raw(1, Severity::Hard).unwrap_err();
    stock.uncharge(1).unwrap();
    stock.charge_raw(1, Severity::Hard).unwrap();
}

#[test]
fn a_stock_comes_back_when_there_is_room_again() {
    let container = limited(100);
    let stock = container.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap();
    container.charge_raw(RES, 99, Severity::Hard).unwrap();
    container.uncharge(RES, 99).unwrap();
    stock.charge_raw(1, Severity::Hard).unwrap();
    assert_eq!(container.row(RES).held, 2);
    assert!(container.counter(RES).held() > 2, "no stock was kept");
}

#[test]
fn a_period_begins_at_what_is_held_whatever_is_idle() {
    let container = limited(1000);
    let stock = container.stock(RES);
    stock.charge_raw(5, Severity::Hard).unwrap();
    container.reset_maxheld(RES);
    let row = container.row(RES);
    assert_eq!((row.held, row.maxheld, row.minheld), (5, 5, 5));
}

#[test]
fn a_removed_beancounter_leaves_without_what_is_idle_and_goes_with_its_stock() {
    let registry = Registry::new();
    let id = ContainerId::new(101).unwrap();
    let container = registry.create(id).unwrap();
    let stock = container.stock(RES);
    stock.charge_raw(2, Severity::Hard).unwrap();
    drop(container);
    let leaving = Removal::Leaving { charged: vec![(RES, 2)] };
    assert_eq!(registry.remove(id).unwrap(), leaving);
    stock.uncharge(2).unwrap();
    drop(stock);
    assert!(registry.get(id).is_none(), "a stock kept it alive");
}

#[test]
fn a_stock_that_is_never_dropped_still_gives_way() {
    let container = limited(100);
    let stock = container.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap();
    core::mem::forget(stock);
    container.charge_raw(RES, 99, Severity::Hard).unwrap();
    assert_eq!(container.row(RES).held, 100);
}

#[test]
fn more_given_back_than_charged_is_told_at_the_latest_when_the_stock_goes() {
    let container = limited(1000);
    let stock = container.stock(RES);
    assert!(stock.uncharge(1).is_err(), "nothing was ever charged");
    stock.charge_raw(1, Severity::Hard).unwrap();
    stock.uncharge(5).unwrap();
    assert_eq!(container.row(RES).held, 0);
    drop(stock);
    assert!(container.underflowed());
}

#[test]
fn a_guard_gives_back_to_its_stock_and_can_leave_it() {
    let container = limited(1000);
    let stock = container.stock(RES);
    let one = stock.charge(1, Severity::Hard).unwrap();
    let two = stock.charge(2, Severity::Hard).unwrap();
    assert_eq!((one.amount(), container.row(RES).held), (1, 3));
    let kept = two.into_charge();
    drop(one);
    drop(stock);
    assert_eq!(container.row(RES).held, 2);
    std::thread::spawn(move || drop(kept)).join().unwrap();
    assert_eq!(container.row(RES).held, 0);
}

#[test]
fn an_observed_row_has_no_stock() {
    let container = limited(1000);
    container.observe(RES, crate::Observation::held(7)).unwrap();
    let stock = container.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap_err();
    stock.uncharge(1).unwrap_err();
    assert_eq!(container.row(RES).held, 7);
}
