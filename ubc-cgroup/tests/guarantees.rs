//! What oomguarpages does for a container when memory runs short.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::rows::{HOLD, MIB, event, limit, pages, without_swap};
use common::{Container, measured};
use ubc_core::Resource::{OomGuarPages, PhysPages};

/// Writes MIB of a file and syncs it: page cache that can be taken back.
const CACHE: &str = r"
def cache(path, mib):
    with open(path, 'wb') as f:
        for _ in range(mib):
            f.write(bytes(1 << 20)); f.flush(); os.fsync(f.fileno())
";

#[test]
fn oomguarpages_makes_reclaim_take_from_the_overdrawn() {
    // MiB of 64 of page cache that one container keeps while another, under
    // the same limit of 128 MiB, goes through 192 MiB.
    fn kept(guaranteed: u64) -> Option<u64> {
        let container = Container::new()?;
        if !container.has("memory") {
            return None;
        }
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (a, b) = (container.inner("guaranteed"), container.inner("overdrawn"));
        without_swap(&container, &[(PhysPages, pages(128 * MIB))]);
        limit(&a, &[(OomGuarPages, pages(guaranteed * MIB))]);
        let path = dir.path().display();
        let script = |name, mib| format!("{CACHE}\ncache('{path}/{name}', {mib})\nstage()\n");
        let mut first = Container::python_in(&a, &[], &script("a", 64));
        let mut second = Container::python_in(&b, &[], &script("b", 192));
        first.next();
        let before = event(&a, "memory.stat", "file");
        assert!(before >= 60 * MIB, "{before} bytes of cache to begin with");
        second.next();
        Some(event(&a, "memory.stat", "file") / MIB)
    }
    let (Some(without), Some(with)) = (kept(0), kept(80)) else { return };
    measured(format!("oomguarpages: of 64 MiB of cache {with} stay with it, {without} without"));
    assert!(with >= 60, "{with} MiB: the guarantee does not hold");
    assert!(without <= 48, "{without} MiB: nothing was reclaimed, the test proves nothing");
}

#[test]
fn the_overdrawn_container_is_killed_before_the_guaranteed_one() {
    let Some(container) = Container::new() else { return };
    if !container.has("memory") {
        return;
    }
    let (a, b) = (container.inner("guaranteed"), container.inner("overdrawn"));
    without_swap(&container, &[(PhysPages, pages(96 * MIB))]);
    limit(&a, &[(OomGuarPages, pages(48 * MIB))]);
    let mut first =
        Container::python_in(&a, &[], &format!("{HOLD}\nhold(24)\nstage()\nhold(4)\nstage()\n"));
    let mut second = Container::python_in(&b, &[], &format!("{HOLD}\nhold(96)\nstage()\n"));
    first.next();
    second.go();
    assert!(!second.arrives(), "24 and 96 MiB fit into 96");
    assert_eq!(event(&b, "memory.events", "oom_kill"), 1);
    assert_eq!(event(&a, "memory.events", "oom_kill"), 0);
    // It lives, and has room again.
    first.next();
}

#[test]
fn a_guarantee_alone_does_not_save_the_largest_process() {
    // Why docs/guarantees.md orders processes by oom_score_adj. Should a kernel
    // ever do better, that is to be known.
    let Some(container) = Container::new() else { return };
    if !container.has("memory") {
        return;
    }
    let (a, b) = (container.inner("guaranteed"), container.inner("overdrawn"));
    without_swap(&container, &[(PhysPages, pages(96 * MIB))]);
    limit(&a, &[(OomGuarPages, pages(72 * MIB))]);
    let script = |mib| format!("{HOLD}\nhold({mib})\nstage()\n");
    let mut first = Container::python_in(&a, &[], &script(56));
    let mut second = Container::python_in(&b, &[], &script(44));
    first.next();
    second.go();
    // On a slow machine the other one may be killed after it.
    second.arrives();
    let killed = |cgroup| event(cgroup, "memory.events", "oom_kill");
    measured(format!(
        "56 MiB of 72 guaranteed, 44 of 0, together 96: killed {} and {}",
        killed(&a),
        killed(&b)
    ));
    assert_eq!(killed(&a), 1);
}
