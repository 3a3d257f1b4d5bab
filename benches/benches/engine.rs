//! One charge and uncharge, next to the least it could cost.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use parking_lot::Mutex;
use ubc_core::{Beancounter, ContainerId, Limits, Registry, Resource, Severity};

fn limited(registry: &Registry) -> Beancounter {
    let ct = registry.create(ContainerId::new(101).unwrap()).unwrap();
    ct.set_limits(Resource::NumFile, Limits::both(1 << 40).unwrap()).unwrap();
    ct
}

fn one_level(c: &mut Criterion) {
    let mut group = c.benchmark_group("charge and uncharge, one level");

    let raw = AtomicU64::new(0);
    group.bench_function("yardstick: fetch_add and fetch_sub", |b| {
        b.iter(|| {
            black_box(&raw).fetch_add(1, Ordering::Relaxed);
            black_box(&raw).fetch_sub(1, Ordering::Relaxed);
        });
    });

    // What a first version would be: every row under one lock.
    let locked = Mutex::new([[0_u64; 6]; Resource::COUNT]);
    group.bench_function("yardstick: the rows behind a mutex", |b| {
        b.iter(|| {
            let mut rows = black_box(&locked).lock();
            let row = &mut rows[Resource::NumFile.index()];
            row[0] += 1;
            row[1] = row[1].max(row[0]);
            drop(rows);
            black_box(&locked).lock()[Resource::NumFile.index()][0] -= 1;
        });
    });

    let registry = Registry::new();
    let ct = limited(&registry);
    group.bench_function("guard", |b| {
        b.iter(|| black_box(&ct).charge_scoped(Resource::NumFile, 1, Severity::Hard).unwrap());
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let registry = Registry::new();
    let ct = limited(&registry);
    c.bench_function("reading of all rows", |b| b.iter(|| black_box(&ct).reading()));
}

criterion_group!(benches, one_level, reading);
criterion_main!(benches);
