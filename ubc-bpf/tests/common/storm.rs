//! Storms: processes that hit limits from all sides at once.

use std::path::Path;
use std::time::{Duration, Instant};

use ubc_bpf::{Enforcer, Slot};
use ubc_core::{PerResource, Resource};

use super::task::Task;

/// What one process saw.
#[derive(Default)]
pub(crate) struct Tally {
    done: u64,
    refused: PerResource<u64>,
}

impl Tally {
    pub(crate) fn done(&mut self) {
        self.done += 1;
    }

    /// An operation failed with the errno of a row's refusal.
    pub(crate) fn refused(&mut self, resource: Resource) {
        self.refused[resource] += 1;
    }
}

/// Something that a process does over and over: takes, and gives back.
pub(crate) type Gust = fn(&mut Tally);

/// A container in a storm.
pub(crate) struct Exposed<'a> {
    pub(crate) cgroup: &'a Path,
    pub(crate) slot: Slot,
    pub(crate) gusts: &'a [Gust],
}

/// Runs one process for each gust of each container, for some time at least.
/// `meanwhile` is called over and over, with the processes' numbers. Then nobody
/// may have gone over a limit, and every refusal that a process saw must have
/// been counted once: by its container, or, if it is `moving` them about, by any.
pub(crate) fn storm(
    enforcer: &Enforcer,
    containers: &[Exposed<'_>],
    time: Duration,
    moving: bool,
    mut meanwhile: impl FnMut(&[i32]),
) {
    let mut tasks: Vec<(usize, Task)> = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        for gust in container.gusts {
            tasks.push((
                at,
                Task::start(container.cgroup, |port| {
                    port.hear();
                    let mut tally = Tally::default();
                    while !port.is_called() {
                        gust(&mut tally);
                    }
                    port.hear();
                    port.say(tally.done.cast_signed());
                    for (_, refused) in tally.refused.iter() {
                        port.say(refused.cast_signed());
                    }
                    // What it holds in the end is its own and its pipes.
                    port.hear();
                }),
            ));
        }
    }
    let before: Vec<_> =
        containers.iter().map(|c| enforcer.counts(c.slot).expect("readable")).collect();
    for (_, task) in &mut tasks {
        task.say(0);
    }
    let pids: Vec<i32> = tasks.iter().map(|(_, task)| task.pid).collect();
    let end = Instant::now() + time;
    while Instant::now() < end {
        meanwhile(&pids);
    }
    for (_, task) in &mut tasks {
        task.say(0);
    }
    let mut refused = vec![PerResource::<u64>::default(); containers.len()];
    let mut done = 0;
    for (at, task) in &mut tasks {
        done += task.hear();
        for resource in Resource::ALL {
            refused[*at][resource] += task.hear().cast_unsigned();
        }
    }
    let mut failcnt = vec![PerResource::<u64>::default(); containers.len()];
    for (at, container) in containers.iter().enumerate() {
        let after = enforcer.counts(container.slot).expect("readable");
        let limits = enforcer.limits(container.slot).expect("readable").expect("it is known");
        for resource in Resource::ALL {
            failcnt[at][resource] = after[resource].failcnt - before[at][resource].failcnt;
            assert!(
                after[resource].maxheld <= limits[resource].limit,
                "container {at} {resource}: maxheld {} above limit {}",
                after[resource].maxheld,
                limits[resource].limit
            );
        }
    }
    if moving {
        (failcnt, refused) = (vec![sum(&failcnt)], vec![sum(&refused)]);
    }
    for (at, (counted, seen)) in failcnt.iter().zip(&refused).enumerate() {
        for resource in Resource::ALL {
            let (counted, seen) = (counted[resource], seen[resource]);
            if seen > 0 || counted > 0 {
                println!("storm: container {at} {resource}: {seen} refused, {counted} counted");
            }
            assert_eq!(counted, seen, "container {at} {resource}: counted and seen refusals");
        }
    }
    println!("storm: {done} operations done");
    for (_, mut task) in tasks {
        task.say(0);
        task.join();
    }
}

fn sum(all: &[PerResource<u64>]) -> PerResource<u64> {
    PerResource::from_fn(|resource| all.iter().map(|one| one[resource]).sum())
}
