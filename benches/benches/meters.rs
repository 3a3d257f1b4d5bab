//! One reading of a large container, and of a small one: by a pass over the
//! tasks, next to what `/proc` costs.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../../ubc-cgroup/tests/common/mod.rs"]
mod common;

use common::Container;
use common::counted::Installed;

/// Forks processes that open files each.
fn script(processes: u32, files: u32) -> String {
    format!(
        r"
r, w = os.pipe()
for _ in range({processes} - 1):
    if os.fork() == 0:
        held = [os.open('/dev/null', os.O_RDONLY) for _ in range({files})]
        os.write(w, b'x')
        time.sleep(100000)
    os.read(r, 1)
stage()
"
    )
}

fn readings(c: &mut Criterion) {
    let mut group = c.benchmark_group("meters");
    group.sample_size(10);
    for (processes, files, id) in [(500, 30, 101), (1, 0, 102)] {
        let Some(container) = Container::new() else { return };
        let Some(installed) = Installed::new(&container.host) else { return };
        let mut plain = container.meters();
        let mut passing = installed.meters(&container.host, id, container.cgroup());
        let mut actor = container.python(&[], &script(processes, files));
        actor.next();
        let name = |how: &str| format!("{processes} processes with {files} files each: {how}");
        group.bench_function(name("yardstick: /proc"), |b| b.iter(|| plain.read().unwrap()));
        group.bench_function(name("pass"), |b| b.iter(|| passing.read().unwrap()));
    }
    group.finish();
}

criterion_group!(benches, readings);
criterion_main!(benches);
