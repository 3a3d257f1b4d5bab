//! Charging, giving back and reading, in memory.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use ubc_core::{Beancounter, ContainerId, Limits, Resource, Severity};
use ubc_peers::{Locked, PageCounter};

use crate::pairs::{Effort, Pair, cpu_time, time, together};
use crate::report::{Goal, Group};

mod limit;
mod reading;

const RES: Resource = Resource::NumFile;
/// A limit that is looked at and never met.
const FAR: u64 = 1 << 40;

/// All figures of the group.
///
/// # Errors
///
/// None of its own; limits and ids are valid.
pub fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    one_thread(effort, group)?;
    two_threads(effort, group)?;
    limit::measure(effort, group)?;
    reading::measure(effort, group)
}

fn limited(beancounter: Beancounter, bound: u64) -> Result<Beancounter, Box<dyn Error>> {
    beancounter.set_limits(RES, Limits::both(bound)?)?;
    Ok(beancounter)
}

fn top(bound: u64) -> Result<Beancounter, Box<dyn Error>> {
    limited(Beancounter::new(ContainerId::new(101)?), bound)
}

/// `count` leaves, two levels below `top`, each below a parent of its own.
fn leaves(top: &Beancounter, count: u32) -> Result<Vec<Beancounter>, Box<dyn Error>> {
    let leaf = |n| {
        let middle = limited(top.child(ContainerId::new(n)?)?, FAR)?;
        limited(middle.child(ContainerId::new(1)?)?, FAR)
    };
    (1..=count).map(leaf).collect()
}

fn exact(beancounter: &Beancounter) {
    black_box(beancounter).charge_raw(RES, 1, Severity::Hard).expect("the limit is far");
    black_box(beancounter).uncharge(RES, 1).expect("it was charged");
}

fn through(stock: &ubc_core::Stock) {
    black_box(stock).charge_raw(1, Severity::Hard).expect("the limit is far");
    black_box(stock).uncharge(1).expect("it was charged");
}

fn locked(rows: &Locked<{ Resource::COUNT }>) {
    assert!(black_box(rows).charge(RES.index(), 1));
    assert!(black_box(rows).uncharge(RES.index(), 1));
}

fn one_thread(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let beancounter = top(FAR)?;
    let stock = beancounter.stock(RES);
    let rows = Locked::new(FAR);
    let word = AtomicU64::new(0);
    let mut raw = |n| {
        cpu_time(n, || {
            black_box(&word).fetch_add(1, Ordering::Relaxed);
            black_box(&word).fetch_sub(1, Ordering::Relaxed);
        })
    };
    let mut mutex = |n| cpu_time(n, || locked(&rows));
    let mut direct = |n| cpu_time(n, || exact(&beancounter));
    let mut stocked = |n| cpu_time(n, || through(&stock));

    let pair =
        Pair::new("charge+uncharge, 1 level", "fetch_add+fetch_sub", Some(Goal::AtMost(1.25)));
    group.add(pair.measure(effort, &mut direct, &mut raw));
    let pair =
        Pair::new("the same through a stock", "fetch_add+fetch_sub", Some(Goal::AtMost(0.35)));
    group.add(pair.measure(effort, &mut stocked, &mut raw));
    let pair = Pair::new("charge+uncharge, 1 level", "mutex", Some(Goal::AtMost(0.5)));
    group.add(pair.measure(effort, &mut direct, &mut mutex));
    let pair = Pair::new("the same through a stock", "mutex", Some(Goal::AtMost(0.5)));
    group.add(pair.measure(effort, &mut stocked, &mut mutex));
    Ok(())
}

fn two_threads(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let shared = top(FAR)?;
    let leaves = leaves(&shared, 2)?;
    let max = i64::try_from(FAR)?;
    let above = PageCounter::new(max, None);
    let counters: Vec<_> = (0..2)
        .map(|_| PageCounter::new(max, Some(PageCounter::new(max, Some(above.clone())))))
        .collect();
    let rows = Locked::new(FAR);

    let mut kernel = |n| {
        together(2, |number, ready| {
            let counter = &*counters[number];
            ready.wait();
            cpu_time(n, || {
                assert!(black_box(counter).try_charge(1));
                black_box(counter).uncharge(1);
            })
        })
    };
    let mut direct = |n| {
        together(2, |number, ready| {
            ready.wait();
            cpu_time(n, || exact(&leaves[number]))
        })
    };
    let mut stocked = |n| {
        together(2, |number, ready| {
            let stock = leaves[number].stock(RES);
            ready.wait();
            cpu_time(n, || through(&stock))
        })
    };
    let mut mutex = |n| {
        together(2, |_, ready| {
            ready.wait();
            time(n, || locked(&rows))
        })
    };
    let mut flat = |n| {
        together(2, |_, ready| {
            ready.wait();
            time(n, || exact(&shared))
        })
    };
    let mut flat_stocked = |n| {
        together(2, |_, ready| {
            let stock = shared.stock(RES);
            ready.wait();
            time(n, || through(&stock))
        })
    };

    let name = "2 threads, 3 levels, shared top, stock";
    let pair = Pair::new(name, "page_counter", Some(Goal::AtMost(0.04)));
    group.add(pair.measure(effort, &mut stocked, &mut kernel));
    let name = "2 threads, 3 levels, shared top, exact";
    let pair = Pair::new(name, "page_counter", Some(Goal::AtMost(0.5)));
    group.add(pair.measure(effort, &mut direct, &mut kernel));
    let pair = Pair::new("2 threads, 1 level, exact", "mutex", Some(Goal::AtMost(0.1)));
    group.add(pair.measure(effort, &mut flat, &mut mutex));
    let pair = Pair::new("2 threads, 1 level, stock", "mutex", Some(Goal::AtMost(0.1)));
    group.add(pair.measure(effort, &mut flat_stocked, &mut mutex));
    Ok(())
}
