use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

type Numbers = Flights<BTreeSet<u64>, BTreeSet<u64>>;

/// Waits until somebody has asked for `what` and it is not being looked at yet.
fn until_asked(flights: &Numbers, what: u64) {
    while !flights.queue().wanted.contains(&what) {
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_is_never_given_a_pass_from_before_it_asked() {
    let flights = Flights::<(), u64>::new();
    // The state of the world, which every pass tells.
    let world = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let before = world.fetch_add(1, Ordering::SeqCst) + 1;
                    let seen = flights.share(|()| {}, |()| Ok(world.load(Ordering::SeqCst)));
                    let seen = *seen.get().unwrap().as_ref().unwrap();
                    assert!(seen >= before, "{seen} is older than {before}");
                }
            });
        }
    });
}

#[test]
fn one_pass_serves_all_who_asked_while_another_was_under_way() {
    let flights = Numbers::new();
    let (passes, started, go) = (AtomicU64::new(0), Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            flights.share(
                |wanted| {
                    wanted.insert(0);
                },
                |wanted| {
                    started.wait();
                    while !go.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                    Ok(wanted)
                },
            );
        });
        started.wait();
        let flights = &flights;
        let passes = &passes;
        let readers: Vec<_> = (1..=8)
            .map(|number| {
                scope.spawn(move || {
                    let ask = |wanted: &mut BTreeSet<u64>| {
                        wanted.insert(number);
                    };
                    let pass = |wanted| {
                        passes.fetch_add(1, Ordering::Relaxed);
                        Ok(wanted)
                    };
                    let seen = flights.share(ask, pass);
                    seen.get().unwrap().as_ref().unwrap().clone()
                })
            })
            .collect();
        (1..=8).for_each(|number| until_asked(flights, number));
        go.store(true, Ordering::Relaxed);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), (1..=8).collect());
        }
    });
    assert_eq!(passes.load(Ordering::Relaxed), 1);
}

#[test]
fn a_pass_that_fails_fails_for_all_who_share_it_and_for_nobody_else() {
    let flights = Numbers::new();
    let (started, go) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let fails = |_| {
                started.wait();
                while !go.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                panic!("in the middle of a pass")
            };
            catch_unwind(AssertUnwindSafe(|| flights.share(|_| {}, fails))).is_err()
        });
        started.wait();
        let flights = &flights;
        let others: Vec<_> = (1..=4)
            .map(|number| {
                scope.spawn(move || {
                    let ask = |wanted: &mut BTreeSet<u64>| {
                        wanted.insert(number);
                    };
                    let seen = flights.share(ask, |_| Err("refused".to_owned()));
                    seen.get().unwrap().clone()
                })
            })
            .collect();
        (1..=4).for_each(|number| until_asked(flights, number));
        go.store(true, Ordering::Relaxed);
        assert!(first.join().unwrap(), "it panicked");
        for other in others {
            assert_eq!(other.join().unwrap(), Err("refused".to_owned()));
        }
    });
    let after = flights.share(|_| {}, Ok);
    assert_eq!(after.get().unwrap(), &Ok(BTreeSet::new()));
}
