//! Near the limit: what stocks refuse, and what they let through.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ubc_core::{Resource, Severity};

use super::{RES, leaves, top};
use crate::pairs::{Effort, together};
use crate::report::{Figure, Goal, Group};

/// Low enough to be met all the time by two threads that take up to three
/// quarters of it each.
const BOUND: u64 = 400;

pub(super) fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let shared = top(BOUND)?;
    let leaves = leaves(&shared, 2)?;
    // What both threads are sure to use: rises after a charge, falls before
    // the units are given back. So it is never above what is really in use.
    let least = AtomicU64::new(0);
    // The same, the other way round: never below.
    let most = AtomicU64::new(0);
    // The highest `most` of the other thread's asks since this one began.
    let peaks = [AtomicU64::new(0), AtomicU64::new(0)];
    let (falsely, over, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let time = effort.half * u32::try_from(effort.rounds)?;
    together(2, |number, ready| {
        let stock = leaves[number].stock(RES);
        let give_back = || {
            least.fetch_sub(1, Ordering::SeqCst);
            stock.uncharge(1).expect("it was charged");
            most.fetch_sub(1, Ordering::SeqCst);
        };
        let (mut mine, mut up) = (0, true);
        let started = Instant::now();
        ready.wait();
        while started.elapsed() < time {
            for _ in 0..256 {
                up = if up { mine < BOUND * 3 / 4 } else { mine == 0 };
                if !up {
                    mine -= 1;
                    give_back();
                    continue;
                }
                peaks[number].store(0, Ordering::SeqCst);
                let asked = most.fetch_add(1, Ordering::SeqCst) + 1;
                peaks[1 - number].fetch_max(asked, Ordering::SeqCst);
                if stock.charge_raw(1, Severity::Hard).is_ok() {
                    mine += 1;
                    let used = least.fetch_add(1, Ordering::SeqCst) + 1;
                    over.fetch_add(u64::from(used > BOUND), Ordering::Relaxed);
                } else {
                    refused.fetch_add(1, Ordering::Relaxed);
                    // It would have fitted even beside all that others asked.
                    let fits = asked.max(peaks[number].load(Ordering::SeqCst)) <= BOUND;
                    falsely.fetch_add(u64::from(fits), Ordering::Relaxed);
                    most.fetch_sub(1, Ordering::SeqCst);
                    up = false;
                }
            }
        }
        (0..mine).for_each(|_| give_back());
        started.elapsed()
    });
    let held: u64 = Resource::ALL.into_iter().map(|resource| shared.row(resource).held).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let mut count = |name: &str, value: u64, goal| {
        group.add(Figure::count(name, value as f64, "count", goal));
    };
    let none = Some(Goal::Value(0.0));
    count("at the limit with stocks: refusals", refused.into_inner(), None);
    count("at the limit with stocks: false refusals", falsely.into_inner(), none);
    count("at the limit with stocks: overshoots", over.into_inner(), none);
    count("at the limit with stocks: units lost", held, none);
    Ok(())
}
