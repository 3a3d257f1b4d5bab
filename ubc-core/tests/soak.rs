//! Several threads at once for a while, and the books at the end.
//!
//! `UBC_SEED=<number>` repeats what each thread does (not how the threads
//! interleave); the seed of a failed run is in its output. `UBC_STEPS=<number>` has each of
//! `UBC_THREADS=<number>` threads do as many steps, of which about two thirds charge.
#![cfg(not(loom))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, reason = "a panic here is the failure report")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ubc_core::{Beancounter, Charge, ContainerId, Limits, Resource, Severity, Stock, UbId};

const THREADS: u64 = 4;
const STEPS: u64 = 300_000;
const RES: [Resource; 3] = [Resource::NumProc, Resource::NumFile, Resource::KmemSize];
/// Wide enough for stocks, narrow enough to be met.
const LIMIT: u64 = 40;

/// xorshift64*: enough for choosing what to do next.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let sides = u64::try_from(from.len()).unwrap();
        &from[usize::try_from(self.throw(sides)).unwrap()]
    }
}

/// What the environment says of it.
fn asked(name: &str) -> Option<u64> {
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{name} is a number"));
    std::env::var(name).ok().map(number)
}

fn seed() -> u64 {
    let seed = asked("UBC_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) + 1
    });
    println!("UBC_SEED={seed}");
    seed
}

/// A container with two children, and another container.
fn forest() -> Vec<Beancounter> {
    let id = |n| ContainerId::new(n).unwrap();
    let first = Beancounter::new(id(101));
    let second = Beancounter::new(id(102));
    let children = [first.child(id(1)).unwrap(), first.child(id(2)).unwrap()];
    let forest: Vec<_> = [first, second].into_iter().chain(children).collect();
    for beancounter in &forest {
        for resource in RES {
            beancounter.set_limits(resource, Limits::both(LIMIT).unwrap()).unwrap();
        }
    }
    forest
}

/// What one thread was told.
#[derive(Default)]
struct Told {
    /// Charges tried, refused or not.
    charges: u64,
    refusals: HashMap<(UbId, Resource), u64>,
}

impl Told {
    fn note<T>(&mut self, result: Result<T, ubc_core::ChargeError>) -> Option<T> {
        self.charges += 1;
        result
            .map_err(|error| {
                let refusal = error.refusal().expect("only limits refuse here");
                *self.refusals.entry((refusal.at, refusal.resource)).or_default() += 1;
            })
            .ok()
    }
}

/// Charges, splits, moves and drops until its steps are done; keeps nothing.
fn work(forest: &[Beancounter], mut dice: Dice, severities: &[Severity]) -> Told {
    let mut told = Told::default();
    let mut kept: Vec<Charge> = Vec::new();
    let pairs = forest.iter().flat_map(|beancounter| RES.map(|resource| (beancounter, resource)));
    let mut stocks: Vec<(Stock, u64)> =
        pairs.map(|(beancounter, resource)| (beancounter.stock(resource), 0)).collect();
    for _ in 0..asked("UBC_STEPS").unwrap_or(STEPS) {
        let beancounter = dice.pick(forest);
        let resource = *dice.pick(&RES);
        let severity = *dice.pick(severities);
        match dice.throw(12) {
            0..=2 => {
                kept.extend(told.note(beancounter.charge(resource, dice.throw(6), severity)));
            }
            3 => {
                let wanted = RES.map(|resource| (resource, dice.throw(4)));
                if let Some(mut set) = told.note(beancounter.charge_all(&wanted, severity)) {
                    told.note(set.transfer(dice.pick(forest), severity));
                    kept.push(set.take(resource));
                }
            }
            4 if !kept.is_empty() => {
                let one = usize::try_from(dice.throw(u64::try_from(kept.len()).unwrap())).unwrap();
                told.note(kept[one].transfer(beancounter.clone(), severity));
                let part = kept[one].split(dice.throw(3));
                kept.extend(part);
            }
            5 => {
                let n = dice.throw(4);
                if told.note(beancounter.charge_raw(resource, n, severity)).is_some() {
                    beancounter.uncharge(resource, n).unwrap();
                }
            }
            6..=9 => {
                let one =
                    usize::try_from(dice.throw(u64::try_from(stocks.len()).unwrap())).unwrap();
                let (stock, charged) = &mut stocks[one];
                let n = dice.throw(3);
                if dice.throw(2) == 0 && *charged < 6 {
                    *charged += told.note(stock.charge_raw(n, severity)).map_or(0, |()| n);
                } else {
                    stock.uncharge(n.min(*charged)).unwrap();
                    *charged -= n.min(*charged);
                }
            }
            _ => {
                let keep = usize::try_from(dice.throw(12)).unwrap();
                kept.truncate(keep);
            }
        }
    }
    for (stock, charged) in stocks {
        stock.uncharge(charged).unwrap();
    }
    told
}

/// Runs the workers, and `beside` until they are done; checks the books.
fn soak(severities: &'static [Severity], beside: impl Fn(&[Beancounter], &mut Dice) + Send) {
    let seed = seed();
    let forest = forest();
    let done = AtomicBool::new(false);
    let told: Vec<Told> = thread::scope(|scope| {
        let workers: Vec<_> = (1..=asked("UBC_THREADS").unwrap_or(THREADS))
            .map(|n| {
                let dice = Dice(seed.wrapping_mul(2 * n + 1) | 1);
                let forest = &forest;
                scope.spawn(move || work(forest, dice, severities))
            })
            .collect();
        let (forest, done) = (&forest, &done);
        scope.spawn(move || {
            let mut dice = Dice(seed | 1);
            while !done.load(Ordering::Relaxed) {
                beside(forest, &mut dice);
                thread::sleep(Duration::from_micros(50));
            }
        });
        let told = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        told
    });

    for beancounter in &forest {
        assert!(!beancounter.underflowed(), "{} (seed {seed})", beancounter.id());
        for resource in RES {
            let row = beancounter.row(resource);
            let at = (beancounter.id(), resource);
            let refused: u64 = told.iter().filter_map(|told| told.refusals.get(&at)).sum();
            assert_eq!(row.held, 0, "{resource} of {} (seed {seed})", at.0);
            assert_eq!(row.failcnt, refused, "{at:?} (seed {seed})");
        }
    }
    let charges: u64 = told.iter().map(|told| told.charges).sum();
    let refusals: u64 = told.iter().flat_map(|told| told.refusals.values()).sum();
    println!("{charges} charges, {refusals} of them refused");
    assert!(refusals > 100, "the limits were never met: {refusals}");
}

#[test]
fn constant_limits_are_never_passed_and_the_books_balance() {
    soak(&[Severity::Hard, Severity::Soft], |forest, _| {
        for beancounter in forest {
            for (_, row) in beancounter.reading().rows.iter() {
                assert!(row.held <= row.limit && row.maxheld <= row.limit, "{row:?}");
            }
        }
    });
}

#[test]
fn the_books_balance_while_limits_change_and_periods_begin() {
    soak(&[Severity::Hard, Severity::Soft, Severity::Force], |forest, dice| {
        let beancounter = dice.pick(forest);
        let resource = *dice.pick(&RES);
        let limits = Limits { barrier: dice.throw(LIMIT), limit: dice.throw(LIMIT) };
        beancounter.set_many(&[(resource, limits)]).unwrap();
        beancounter.reset_maxheld(resource);
        for (_, row) in beancounter.reading().rows.iter() {
            assert!(row.maxheld >= row.held, "{row:?}");
        }
    });
}
