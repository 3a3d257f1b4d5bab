//! The order in which a container's processes become more likely to die.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use common::Container;
use ubc_cgroup::oom::Scores;

/// What a process has by now, from its file.
fn score(file: &File) -> i32 {
    let mut text = [0; 8];
    let length = file.read_at(&mut text, 0).unwrap();
    std::str::from_utf8(&text[..length]).unwrap().trim().parse().unwrap()
}

#[test]
fn memory_that_runs_out_meanwhile_does_not_cost_the_init() {
    const FORK: &str = "\
pids = [os.fork() for _ in range(1)]
for _ in range(15):
    if pids[-1]: pids.append(os.fork())
if not pids[-1]: time.sleep(1000)
stage(*pids)";
    let Some(container) = Container::new() else { return };
    let mut init = container.python(&[], FORK);
    init.next();
    let open = |pid: &dyn std::fmt::Display| File::open(format!("/proc/{pid}/oom_score_adj"));
    let first = open(&init.pid()).unwrap();
    let others: Vec<File> = init.facts.iter().map(|pid| open(pid).unwrap()).collect();
    assert_eq!(others.len(), 16);
    let base = score(&first);
    let (cgroup, ended) = (container.cgroup(), AtomicBool::new(false));
    let mut scores = Scores::new(base);
    for _ in 0..100 {
        ended.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            // Whoever sees it raised finds the others raised already.
            let watch = scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    if score(&first) != base {
                        return others.iter().all(|other| score(other) != base);
                    }
                }
                true
            });
            scores.set(&cgroup, base + 100).unwrap();
            ended.store(true, Ordering::Relaxed);
            assert!(watch.join().unwrap(), "the init was raised before its children");
        });
        assert_eq!(score(&first), base + 100);
        scores.restore(&cgroup).unwrap();
        assert_eq!(score(&first), base);
    }
}
