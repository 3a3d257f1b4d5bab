//! The text of the file, next to what reading any small kernel file costs.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use criterion::{Criterion, criterion_group, criterion_main};
use ubc_core::{ContainerId, PerResource, Reading, Row};
use ubc_procfs::text::layout::USER_BEANCOUNTERS_LEN;
use ubc_procfs::text::parse::{Bounds, tolerant};
use ubc_procfs::text::table::fill_user_beancounters;

fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("user_beancounters");

    let file = File::open("/proc/self/statm").unwrap();
    let mut small = [0; 256];
    group.bench_function("yardstick: pread of /proc/self/statm", |b| {
        b.iter(|| file.read_at(black_box(&mut small), 0).unwrap());
    });

    let row = Row { held: 230_416, maxheld: 1_045_032, failcnt: 363_565, ..Row::default() };
    let reading =
        Reading { id: ContainerId::new(101).unwrap(), rows: PerResource::from_fn(|_| row) };
    let mut out = [0; USER_BEANCOUNTERS_LEN];
    group.bench_function("write", |b| {
        b.iter(|| fill_user_beancounters(black_box(&reading), black_box(&mut out)));
    });

    fill_user_beancounters(&reading, &mut out);
    group.bench_function("parse", |b| {
        b.iter(|| tolerant(black_box(&out), Bounds::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, text);
criterion_main!(benches);
