//! Charging, giving back and reading, in memory.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use ubc_core::{Beancounter, ContainerId, Limits, Resource, Severity, Stock};
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

// The loops. Each is a function of its own, so that all of them find what they
// count in, by a reference in a register. None needs a `black_box`: compilers
// leave atomic accesses alone.

#[inline(never)]
fn raw(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        word.fetch_add(1, Ordering::Relaxed);
        word.fetch_sub(1, Ordering::Relaxed);
    }
}

#[inline(never)]
fn exact(beancounter: &Beancounter, n: u64) {
    for _ in 0..n {
        beancounter.charge_raw(RES, 1, Severity::Hard).expect("the limit is far");
        beancounter.uncharge(RES, 1).expect("it was charged");
    }
}

#[inline(never)]
fn through(stock: &Stock, n: u64) {
    for _ in 0..n {
        stock.charge_raw(1, Severity::Hard).expect("the limit is far");
        stock.uncharge(1).expect("it was charged");
    }
}

#[inline(never)]
fn locked(rows: &Locked<{ Resource::COUNT }>, n: u64) {
    for _ in 0..n {
        assert!(rows.charge(RES.index(), 1));
        assert!(rows.uncharge(RES.index(), 1));
    }
}

#[inline(never)]
fn kernel(counter: &PageCounter, n: u64) {
    for _ in 0..n {
        assert!(counter.try_charge(1));
        counter.uncharge(1);
    }
}

fn one_thread(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let beancounter = top(FAR)?;
    let stock = beancounter.stock(RES);
    let rows = Locked::new(FAR);
    let word = AtomicU64::new(0);
    let mut add = |n| cpu_time(|| raw(&word, n));
    let mut mutex = |n| cpu_time(|| locked(&rows, n));
    let mut direct = |n| cpu_time(|| exact(&beancounter, n));
    let mut stocked = |n| cpu_time(|| through(&stock, n));

    let what = "charge+uncharge, 1 level, exact";
    let stock = "charge+uncharge, 1 level, stock";
    let pair = Pair::new(what, "fetch_add+fetch_sub", Some(Goal::AtMost(1.25)));
    group.add(pair.measure(effort, &mut direct, &mut add));
    let pair = Pair::new(stock, "fetch_add+fetch_sub", Some(Goal::AtMost(0.35)));
    group.add(pair.measure(effort, &mut stocked, &mut add));
    let pair = Pair::new(what, "mutex", Some(Goal::AtMost(0.5)));
    group.add(pair.measure(effort, &mut direct, &mut mutex));
    let pair = Pair::new(stock, "mutex", Some(Goal::AtMost(0.5)));
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

    let mut page_counter = |n| {
        together(2, |number, ready| {
            ready.wait();
            cpu_time(|| kernel(&counters[number], n))
        })
    };
    let mut direct = |n| {
        together(2, |number, ready| {
            ready.wait();
            cpu_time(|| exact(&leaves[number], n))
        })
    };
    let mut stocked = |n| {
        together(2, |number, ready| {
            let stock = leaves[number].stock(RES);
            ready.wait();
            cpu_time(|| through(&stock, n))
        })
    };
    let name = "2 threads, 3 levels, shared top, stock";
    let pair = Pair::new(name, "page_counter", Some(Goal::AtMost(0.04)));
    group.add(pair.measure(effort, &mut stocked, &mut page_counter));
    let name = "2 threads, 3 levels, shared top, exact";
    let pair = Pair::new(name, "page_counter", Some(Goal::AtMost(0.5)));
    group.add(pair.measure(effort, &mut direct, &mut page_counter));

    // A mutex lets threads sleep, which is no processor time and still is
    // lost: here by the clock.
    let mut mutex = |n| {
        together(2, |_, ready| {
            ready.wait();
            time(1, || locked(&rows, n))
        })
    };
    let mut flat = |n| {
        together(2, |_, ready| {
            ready.wait();
            time(1, || exact(&shared, n))
        })
    };
    let mut flat_stocked = |n| {
        together(2, |_, ready| {
            let stock = shared.stock(RES);
            ready.wait();
            time(1, || through(&stock, n))
        })
    };
    let pair = Pair::new("2 threads, 1 level, exact", "mutex", Some(Goal::AtMost(0.1)));
    group.add(pair.measure(effort, &mut flat, &mut mutex));
    let pair = Pair::new("2 threads, 1 level, stock", "mutex", Some(Goal::AtMost(0.1)));
    group.add(pair.measure(effort, &mut flat_stocked, &mut mutex));
    Ok(())
}
