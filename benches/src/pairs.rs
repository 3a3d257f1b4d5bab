//! A subject and its yardstick, in turns.

use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::report::{Figure, Goal};

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Turns of subject and yardstick.
    pub rounds: usize,
    /// How long one half of a turn lasts, roughly.
    pub half: Duration,
}

impl Effort {
    /// For figures.
    pub const FULL: Effort = Effort { rounds: 101, half: Duration::from_millis(8) };
    /// To see that it runs; the figures mean little.
    pub const QUICK: Effort = Effort { rounds: 5, half: Duration::from_millis(1) };

    /// Whether what takes long to set up should be small.
    pub fn is_quick(self) -> bool {
        self == Effort::QUICK
    }
}

/// Does something so many times, and says how long that took.
pub type Run<'a> = &'a mut dyn FnMut(u64) -> Duration;

/// What to measure against what.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// What is measured.
    pub name: &'a str,
    /// What it is measured against.
    pub yardstick: &'a str,
    /// What the ratio is to be.
    pub goal: Option<Goal>,
    /// How many yardsticks make one whole (five preads); usually 1.
    pub times: f64,
}

impl<'a> Pair<'a> {
    /// Of one to one.
    pub fn new(name: &'a str, yardstick: &'a str, goal: Option<Goal>) -> Pair<'a> {
        Pair { name, yardstick, goal, times: 1.0 }
    }

    /// Of one to several.
    #[must_use]
    pub fn times(self, times: f64) -> Pair<'a> {
        Pair { times, ..self }
    }

    /// Runs both in turns. Which of them begins changes from turn to turn, so
    /// that neither always follows the other's cache misses.
    pub fn measure(self, effort: Effort, subject: Run<'_>, yardstick: Run<'_>) -> Figure {
        let counts = [calibrate(effort, subject), calibrate(effort, yardstick)];
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..effort.rounds {
            let (a, b);
            if round % 2 == 0 {
                a = each(subject, counts[0]);
                b = each(yardstick, counts[1]);
            } else {
                b = each(yardstick, counts[1]);
                a = each(subject, counts[0]);
            }
            let b = b * self.times;
            ours.push(a);
            theirs.push(b);
            ratios.push(a / b);
        }
        let [low, ratio, high] = quartiles(&mut ratios);
        let [_, value, _] = quartiles(&mut ours);
        let [_, yardstick_value, _] = quartiles(&mut theirs);
        Figure {
            name: self.name.to_owned(),
            value,
            unit: "ns".to_owned(),
            yardstick: self.yardstick.to_owned(),
            yardstick_value: Some(yardstick_value),
            ratio: Some(ratio),
            spread: Some([low, high]),
            goal: self.goal,
        }
    }
}

/// Times `n` repetitions.
pub fn time(n: u64, mut once: impl FnMut()) -> Duration {
    let started = Instant::now();
    for _ in 0..n {
        once();
    }
    started.elapsed()
}

/// How much processor time of this thread something takes: for work that never
/// sleeps, so that what else the machine runs is not counted.
pub fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let started = now();
    work();
    now().saturating_sub(started)
}

/// Runs `work` on so many threads at once, each on a core, and returns the longest time. Each
/// thread prepares by itself: `work` gets its number and the barrier to pass
/// when it is ready.
///
/// # Panics
///
/// When `work` does.
pub fn together(
    threads: usize,
    work: impl Fn(usize, &std::sync::Barrier) -> Duration + Sync,
) -> Duration {
    let barrier = std::sync::Barrier::new(threads);
    std::thread::scope(|scope| {
        let (work, barrier) = (&work, &barrier);
        let running: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || on_core(number, work, barrier)))
            .collect();
        let times = running.into_iter().map(|thread| thread.join().expect("a benchmark panicked"));
        times.max().unwrap_or_default()
    })
}

/// Runs on a core of its own where there are enough: threads that take turns on
/// one core do not disturb each other.
fn on_core(
    number: usize,
    work: &(impl Fn(usize, &std::sync::Barrier) -> Duration + Sync),
    barrier: &std::sync::Barrier,
) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut one = CpuSet::new();
    one.set(number % cores);
    // Where that is not allowed, they run where they may.
    let _ = sched_setaffinity(None, &one);
    work(number, barrier)
}

/// How many repetitions fill half a turn.
fn calibrate(effort: Effort, run: Run<'_>) -> u64 {
    let mut count = 1;
    loop {
        let taken = run(count);
        if taken * 2 >= effort.half || count >= 1 << 40 {
            let scale = effort.half.as_secs_f64() / taken.as_secs_f64().max(1e-9);
            return scaled(count, scale).max(1);
        }
        count *= 2;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a count of repetitions, within a factor of two of `count`"
)]
fn scaled(count: u64, scale: f64) -> u64 {
    (count as f64 * scale) as u64
}

/// Nanoseconds for one repetition.
fn each(run: Run<'_>, count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count_f = count as f64;
    run(count).as_secs_f64() * 1e9 / count_f
}

/// The lower quartile, the median and the upper quartile.
pub(crate) fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    [1, 2, 3].map(|quarter| values.get(last * quarter / 4).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests;
