//! Which of the programs run in a call, and what each takes.
//!
//! The kernel counts runs and their time while somebody asks it to, which costs
//! time itself. So this is a pass of its own, after everything else.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::Path;

use libbpf_rs::query::ProgInfoIter;
use ubc_peers::Syscalls;

use super::Unit;
use crate::report::{Figure, Group};
use crate::worker::Worker;

/// Documentation/admin-guide/sysctl/kernel.rst
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Programs of ours are named so.
const PREFIX: &str = "ubc_";

/// Runs of a program, and the time they took together.
#[derive(Clone, Copy, Debug, Default)]
struct Runs {
    count: u64,
    nanos: u64,
}

/// Lets the kernel count for as long as this is there.
struct Counting {
    before: String,
}

impl Counting {
    fn new() -> io::Result<Counting> {
        let before = std::fs::read_to_string(SWITCH)?;
        std::fs::write(SWITCH, "1")?;
        Ok(Counting { before })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(SWITCH, &self.before) {
            eprintln!("bench: {SWITCH}: {error}");
        }
    }
}

/// Adds a figure for each program that runs in one of the calls, of a worker that
/// is in a container.
///
/// # Errors
///
/// The worker cannot do it, or the kernel does not count.
pub(super) fn measure(
    worker: &mut Worker,
    counts: &[u64],
    unit: Unit,
    group: &mut Group,
) -> Result<(), Box<dyn Error>> {
    if !Path::new(SWITCH).exists() {
        group.skip("kernel: runs of programs are not counted here");
        return Ok(());
    }
    let _counting = Counting::new()?;
    for (what, times) in Syscalls::ALL.into_iter().zip(counts) {
        let before = runs();
        worker.run(what, *times)?;
        let after = runs();
        for (id, (name, after)) in after {
            let before = before.get(&id).map_or(Runs::default(), |(_, runs)| *runs);
            let count = after.count - before.count;
            // Others of the machine's processes do things as well.
            if count < times / 8 {
                continue;
            }
            group.add(figure(what, &name, count, after.nanos - before.nanos, *times, unit));
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn figure(what: Syscalls, name: &str, count: u64, nanos: u64, times: u64, unit: Unit) -> Figure {
    let often = count as f64 / times as f64;
    let name = format!("{}: {name}, {often:.1} times", what.name());
    Figure::count(&name, nanos as f64 / count as f64, unit.name(), None)
}

/// By the kernel's number for it.
fn runs() -> BTreeMap<u32, (String, Runs)> {
    ProgInfoIter::default()
        .filter_map(|info| {
            let name = info.name.to_string_lossy().into_owned();
            let runs = Runs { count: info.run_cnt, nanos: info.run_time_ns };
            name.starts_with(PREFIX).then_some((info.id, (name, runs)))
        })
        .collect()
}
