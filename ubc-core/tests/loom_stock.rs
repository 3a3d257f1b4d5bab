//! Every interleaving of the thread a stock belongs to with another one.
//!
//! ```text
//! CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" \
//!     cargo test -p ubc-core --release --test loom_stock
//! ```
//!
//! Both halves of the fence are sequentially consistent here; `membarrier(2)`
//! stands for the same on the side that takes.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic here is the failure report")]

use loom::sync::Mutex;
use ubc_core::{Beancounter, ContainerId, Limits, Resource, Severity, Stock};

mod interleave;

use interleave::race;

const RES: Resource = Resource::NumFile;
const LIMIT: u64 = 20;

/// A container in which one unit is in use and others are idle in a stock, and
/// the stock, for the thread that takes it.
struct World {
    container: Beancounter,
    stock: Mutex<Option<Stock>>,
}

fn world() -> World {
    let container = Beancounter::new(ContainerId::new(101).unwrap());
    container.set_limits(RES, Limits::both(LIMIT).unwrap()).unwrap();
    let stock = container.stock(RES);
    stock.charge_raw(1, Severity::Hard).unwrap();
    // The counter holds the reserve, too: all but one unit cannot come from
    // what is left.
    assert_eq!(container.row(RES).maxheld, 6);
    World { container, stock: Mutex::new(Some(stock)) }
}

impl World {
    fn stock(&self) -> Stock {
        self.stock.lock().unwrap().take().unwrap()
    }

    fn held(&self) -> u64 {
        self.container.row(RES).held
    }
}

#[test]
fn the_last_unit_goes_to_the_stock_or_to_the_counter_and_not_to_both() {
    race(
        world,
        |world| {
            let stock = world.stock();
            let taken = stock.charge_raw(1, Severity::Hard).is_ok();
            (stock, taken)
        },
        |world| world.container.charge_raw(RES, LIMIT - 1, Severity::Hard).is_ok(),
        |world, (stock, one), rest| {
            assert!(one ^ rest, "both: too much was granted; neither: it was refused falsely");
            assert_eq!(world.held(), if one { 2 } else { LIMIT });
            assert_eq!(world.container.row(RES).failcnt, 1);
            drop(stock);
            assert_eq!(world.held(), if one { 2 } else { LIMIT });
            assert!(!world.container.underflowed());
        },
    );
}

#[test]
fn what_is_given_back_through_a_stock_while_it_is_drained_is_not_lost() {
    race(
        world,
        |world| {
            let stock = world.stock();
            stock.uncharge(1).unwrap();
            stock
        },
        |world| world.container.charge_raw(RES, LIMIT, Severity::Hard).is_ok(),
        |world, stock, all| {
            assert_eq!(world.held(), if all { LIMIT } else { 0 });
            drop(stock);
            assert_eq!(world.held(), if all { LIMIT } else { 0 });
            // By now everything is free again.
            if !all {
                world.container.charge_raw(RES, LIMIT, Severity::Hard).unwrap();
            }
        },
    );
}

#[test]
fn idle_units_are_never_a_reason_to_refuse() {
    race(
        world,
        // Its end gives them back: at no instant are they neither here nor there.
        |world| drop(world.stock()),
        |world| world.container.charge_raw(RES, LIMIT - 1, Severity::Hard),
        |world, (), rest| {
            rest.unwrap();
            assert_eq!((world.held(), world.container.row(RES).failcnt), (LIMIT, 0));
        },
    );
}

#[test]
fn a_reading_beside_a_stock_in_use_shows_what_users_hold() {
    race(
        world,
        |world| {
            let stock = world.stock();
            stock.charge_raw(2, Severity::Hard).unwrap();
            stock
        },
        |world| world.container.row(RES),
        |world, stock, row| {
            assert!([1, 3].contains(&row.held), "{row:?}");
            assert!(row.maxheld >= row.held);
            // Being looked at takes nothing from it.
            assert_eq!((world.held(), world.container.row(RES).maxheld), (3, 6));
            stock.uncharge(3).unwrap();
            assert_eq!(world.held(), 0);
        },
    );
}

#[test]
fn a_lowered_limit_holds_for_a_stock_filled_before() {
    race(
        world,
        |world| {
            let stock = world.stock();
            let first = stock.charge_raw(1, Severity::Hard).is_ok();
            (stock, first)
        },
        |world| world.container.set_limits(RES, Limits::both(1).unwrap()).unwrap(),
        |world, (stock, first), ()| {
            assert_eq!(world.held(), 1 + u64::from(first));
            // After the change nothing comes from the reserve any more.
            stock.charge_raw(1, Severity::Hard).unwrap_err();
        },
    );
}

#[test]
fn a_forced_charge_over_the_barrier_leaves_no_reserve_under_it() {
    race(
        world,
        |world| {
            let stock = world.stock();
            let first = stock.charge_raw(1, Severity::Hard).is_ok();
            (stock, first)
        },
        |world| world.container.charge_raw(RES, LIMIT, Severity::Force).unwrap(),
        |world, (stock, first), ()| {
            assert_eq!(world.held(), LIMIT + 1 + u64::from(first));
            stock.charge_raw(1, Severity::Hard).unwrap_err();
        },
    );
}

#[test]
fn a_refill_beside_a_charge_that_fits_does_not_make_it_fail() {
    race(
        || {
            let world = world();
            // Empty: the next charge fills it again.
            let stock = world.stock();
            stock.charge_raw(5, Severity::Hard).unwrap();
            *world.stock.lock().unwrap() = Some(stock);
            world
        },
        |world| {
            let stock = world.stock();
            stock.charge_raw(1, Severity::Hard).unwrap();
            stock
        },
        |world| world.container.charge_raw(RES, LIMIT - 7, Severity::Hard),
        |world, _stock, rest| {
            rest.unwrap();
            assert_eq!(world.held(), LIMIT);
        },
    );
}
