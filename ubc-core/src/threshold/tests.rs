use super::*;
use crate::UNLIMITED;

fn limits(barrier: u64, limit: u64) -> Limits {
    Limits::new(barrier, limit).unwrap()
}

#[test]
fn hard_stops_at_the_limit_when_the_limit_is_below_the_barrier() {
    let thresholds = Thresholds::new(limits(10, 4));
    assert_eq!(thresholds.bound(Severity::Hard), 4);
    assert_eq!(thresholds.bound(Severity::Soft), 4);
    assert_eq!(thresholds.pair(), limits(10, 4));
}

#[test]
fn soft_is_not_stopped_by_the_barrier() {
    let thresholds = Thresholds::new(limits(4, 10));
    assert_eq!(thresholds.bound(Severity::Hard), 4);
    assert_eq!(thresholds.bound(Severity::Soft), 10);
}

#[test]
fn force_has_no_bound_at_all() {
    let thresholds = Thresholds::new(limits(0, 0));
    assert_eq!(thresholds.bound(Severity::Force), u64::MAX);
}

#[test]
fn setting_replaces_every_word() {
    let thresholds = Thresholds::new(Limits::UNLIMITED);
    thresholds.set(limits(3, 7));
    assert_eq!(thresholds.pair(), limits(3, 7));
    assert_eq!(thresholds.bound(Severity::Hard), 3);
    assert_eq!(thresholds.bound(Severity::Soft), 7);
    thresholds.set(Limits::UNLIMITED);
    assert_eq!(thresholds.bound(Severity::Hard), UNLIMITED);
}

#[test]
fn a_pair_read_beside_two_setters_is_never_half_of_each() {
    let thresholds = Thresholds::new(limits(0, 0));
    std::thread::scope(|scope| {
        for start in [0, 1] {
            let thresholds = &thresholds;
            scope.spawn(move || {
                for i in 0..5_000 {
                    thresholds.set(limits(2 * i + start, 2 * i + start));
                }
            });
        }
        for _ in 0..5_000 {
            let pair = thresholds.pair();
            assert_eq!(pair.barrier, pair.limit);
        }
    });
}
