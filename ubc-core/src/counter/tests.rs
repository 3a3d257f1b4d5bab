use super::*;

const NO_LIMIT: Limits = Limits::UNLIMITED;

fn counter(barrier: u64, limit: u64) -> Counter {
    let counter = Counter::new();
    counter.set_limits(Limits::new(barrier, limit).unwrap()).unwrap();
    counter
}

fn held_at(held: u64, barrier: u64, limit: u64) -> Counter {
    let counter = Counter::new();
    counter.charge(held, Severity::Force).unwrap();
    counter.set_limits(Limits::new(barrier, limit).unwrap()).unwrap();
    counter
}

/// Trap 1.
#[test]
fn reaching_the_bound_exactly_is_not_refused() {
    assert_eq!(counter(5, 9).charge(5, Severity::Hard), Ok(()));
    assert_eq!(counter(5, 9).charge(9, Severity::Soft), Ok(()));
    assert!(counter(5, 9).charge(6, Severity::Hard).is_err());
    assert!(counter(5, 9).charge(10, Severity::Soft).is_err());
}

/// Trap 2.
#[test]
fn hard_does_not_pass_a_limit_set_below_the_barrier() {
    assert!(counter(9, 5).charge(6, Severity::Hard).is_err());
    assert_eq!(counter(9, 5).charge(5, Severity::Hard), Ok(()));
}

/// Trap 3.
#[test]
fn a_refusal_of_many_units_counts_once_and_changes_nothing_else() {
    let counter = held_at(3, 5, 5);
    let before = counter.row();
    let limits = Limits { barrier: 5, limit: 5 };
    assert_eq!(counter.charge(100, Severity::Hard), Err(Denied::Over { held: 3, limits }));
    assert_eq!(counter.row(), Row { failcnt: 1, ..before });
}

/// Trap 5.
#[test]
fn minheld_stays_0_until_a_reset_and_ignores_uncharges() {
    let counter = held_at(5, UNLIMITED, UNLIMITED);
    assert_eq!(counter.row().minheld, 0);
    counter.reset_maxheld();
    assert_eq!((counter.row().minheld, counter.row().maxheld), (5, 5));
    counter.uncharge(4).unwrap();
    assert_eq!(counter.row().minheld, 5, "an uncharge must not lower it");
    counter.charge(1, Severity::Hard).unwrap();
    assert_eq!(counter.row().minheld, 2, "a charge lowers it to what it leads to");
}

/// Trap 33.
#[test]
fn giving_back_too_much_stops_at_0_and_says_so() {
    let counter = held_at(3, UNLIMITED, UNLIMITED);
    assert_eq!(counter.uncharge(5), Err(Shortfall { asked: 5, charged: 3 }));
    let row = counter.row();
    assert_eq!((row.held, row.maxheld, row.failcnt), (0, 3, 0));
}

/// Trap 35.
#[test]
fn a_charge_above_the_maximum_is_invalid_and_not_a_refusal() {
    let counter = counter(0, 0);
    for severity in [Severity::Hard, Severity::Soft, Severity::Force] {
        assert_eq!(counter.charge(UNLIMITED + 1, severity), Err(Denied::TooLarge));
        assert_eq!(counter.charge(u64::MAX, severity), Err(Denied::TooLarge));
    }
    assert_eq!(counter.row(), Row::from_limits(Limits { barrier: 0, limit: 0 }));
}

#[test]
fn the_largest_charge_fits_an_unlimited_counter() {
    let counter = Counter::new();
    assert_eq!(counter.charge(UNLIMITED, Severity::Hard), Ok(()));
    let denied = Denied::Over { held: UNLIMITED, limits: NO_LIMIT };
    assert_eq!(counter.charge(1, Severity::Hard), Err(denied));
}

#[test]
fn force_never_wraps_the_counter() {
    let counter = Counter::new();
    counter.charge(UNLIMITED, Severity::Force).unwrap();
    counter.charge(UNLIMITED, Severity::Force).unwrap();
    counter.charge(1, Severity::Force).unwrap();
    assert_eq!(counter.held(), u64::MAX);
    let full = Denied::Full { held: u64::MAX };
    assert_eq!(counter.charge(1, Severity::Force), Err(full));
    assert_eq!(counter.row().failcnt, 0, "not a refusal by a limit");
    assert!(counter.charge(UNLIMITED, Severity::Soft).is_err());
    assert_eq!(counter.row().failcnt, 1);
}

#[test]
fn a_quiet_refusal_is_not_counted_but_a_quiet_charge_is_real() {
    let counter = counter(1, 1);
    counter.charge(1, Severity::Hard.quiet()).unwrap();
    assert!(counter.charge(1, Severity::Soft.quiet()).is_err());
    let row = counter.row();
    assert_eq!((row.held, row.maxheld, row.failcnt), (1, 1, 0));
}

#[test]
fn a_charge_of_nothing_is_still_measured() {
    let over = held_at(2, 1, 1);
    assert!(over.charge(0, Severity::Hard).is_err());
    assert_eq!(over.row().failcnt, 1);
    assert_eq!(counter(0, 0).charge(0, Severity::Hard), Ok(()));
}

#[test]
fn limits_below_the_use_stop_charges_but_not_uncharges() {
    let counter = held_at(8, 4, 4);
    assert_eq!(counter.held(), 8);
    assert!(counter.charge(1, Severity::Soft).is_err());
    counter.charge(1, Severity::Force).unwrap();
    counter.uncharge(6).unwrap();
    assert_eq!(counter.charge(1, Severity::Hard), Ok(()));
}

#[test]
fn an_invalid_limit_changes_nothing() {
    let counter = counter(1, 2);
    let invalid = Limits { barrier: 3, limit: UNLIMITED + 1 };
    assert_eq!(counter.set_limits(invalid), Err(LimitsError::LimitTooLarge(UNLIMITED + 1)));
    assert_eq!(counter.limits(), Limits { barrier: 1, limit: 2 });
}

#[test]
fn a_charged_row_cannot_become_observed_nor_the_reverse() {
    let charged = Counter::new();
    charged.charge(0, Severity::Hard).unwrap();
    assert!(!charged.claim(Source::Observed));
    assert_eq!(charged.source(), Source::Charged);

    let observed = Counter::new();
    assert!(observed.claim(Source::Observed));
    observed.record(Some(7), None);
    assert_eq!(observed.charge(1, Severity::Force), Err(Denied::Observed));
    assert_eq!(observed.uncharge(1), Err(Shortfall { asked: 1, charged: 0 }));
    assert_eq!(observed.uncharge(0), Ok(()));
    assert_eq!(observed.held(), 7);
}

#[test]
fn what_charges_write_shares_no_line_with_what_they_read() {
    let counter = Counter::new();
    let usage = core::ptr::from_ref(&counter.usage).addr();
    let rules = core::ptr::from_ref(&counter.rules).addr();
    assert_eq!((usage % 128, rules % 128), (0, 0));
    assert_eq!(usage.abs_diff(rules), 128);
    assert_eq!(size_of::<Counter>(), 256);
}

#[test]
fn a_reset_beside_charges_never_leaves_maxheld_below_held() {
    let counter = Counter::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                counter.charge(1, Severity::Hard).unwrap();
            }
        });
        for _ in 0..20_000 {
            counter.reset_maxheld();
        }
    });
    // Not `row`, which takes the maximum of the two itself.
    assert_eq!(counter.held(), 20_000);
    assert_eq!(counter.usage.maxheld.load(Ordering::Relaxed), 20_000);
}
