//! A reading and its text.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use ubc_core::Severity;
use ubc_procfs::text::layout::USER_BEANCOUNTERS_LEN;
use ubc_procfs::text::table::fill_user_beancounters;

use super::{FAR, RES, top};
use crate::pairs::{Effort, Pair, time};
use crate::report::{Goal, Group};

pub(super) fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    // A small file of a cgroup; it stays open, as a meter keeps it.
    let small = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.stat"];
    let Some(file) = small.iter().rev().find_map(|path| File::open(path).ok()) else {
        group.skip("a reading against preads: no cgroup file here");
        return Ok(());
    };
    let beancounter = top(FAR)?;
    beancounter.charge_raw(RES, 230_416, Severity::Hard)?;
    let mut text = [0; USER_BEANCOUNTERS_LEN];
    let mut buffer = [0; 4096];
    let mut pread = |n| {
        time(n, || {
            let read = file.read_at(black_box(&mut buffer), 0).expect("the file stays");
            black_box(read);
        })
    };
    let mut render = |n| {
        time(n, || {
            fill_user_beancounters(&black_box(&beancounter).reading(), black_box(&mut text));
        })
    };
    let mut read = |n| {
        time(n, || {
            black_box(black_box(&beancounter).reading());
        })
    };
    let goal = Some(Goal::AtMost(1.0));
    let pair = Pair::new("reading of 24 rows and its text", "5 preads of cgroup.stat", goal);
    group.add(pair.times(5.0).measure(effort, &mut render, &mut pread));
    let pair = Pair::new("reading of 24 rows", "pread of cgroup.stat", None);
    group.add(pair.measure(effort, &mut read, &mut pread));
    Ok(())
}
