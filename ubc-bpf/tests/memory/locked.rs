//! Locked memory.

use super::*;

#[track_caller]
fn assert_locked(bench: &Bench<'_>, pages: u64) {
    let pid = bench.worker.pid().to_string();
    assert_eq!((bench.held(LOCKED), status(&pid, "VmLck:") / 4), (pages, pages));
}

pub(super) fn locked_memory_is_counted_and_seeded(mut bench: Bench<'_>) {
    let at = bench.map(20, RW, PRIVATE).expect("no limit");
    // Counted, not refused.
    bench.limit(LOCKED, 0, 0);
    bench.worker.call(libc::SYS_mlock, &[at, bytes(12)]).expect("locked");
    assert_locked(&bench, 12);
    bench.worker.call(libc::SYS_mlock, &[at, bytes(12)]).expect("again");
    assert_locked(&bench, 12);
    bench.worker.call(libc::SYS_munlock, &[at, bytes(2)]).expect("unlocked");
    assert_locked(&bench, 10);
    let locked = bench.map(5, RW, PRIVATE | i64::from(libc::MAP_LOCKED)).expect("locked");
    assert_locked(&bench, 15);
    let grow = [locked, bytes(5), bytes(9), i64::from(libc::MREMAP_MAYMOVE)];
    let locked = bench.worker.call(libc::SYS_mremap, &grow).expect("grown");
    assert_locked(&bench, 19);
    assert!(bench.worker.ask("fork") > 0);
    assert_locked(&bench, 19);
    bench.unmap(locked, 9);
    assert_locked(&bench, 10);
    bench.worker.call(libc::SYS_mlockall, &[i64::from(libc::MCL_FUTURE)]).expect("set");
    let end = bench.worker.call(libc::SYS_brk, &[0]).expect("an address");
    bench.worker.call(libc::SYS_brk, &[end + bytes(4)]).expect("an address");
    let pid = bench.worker.pid().to_string();
    assert_eq!(bench.held(LOCKED), status(&pid, "VmLck:") / 4);
    assert!(bench.held(LOCKED) >= 14);
    bench.worker.call(libc::SYS_munlockall, &[]).expect("unlocked");
    assert_locked(&bench, 0);
    assert_eq!((bench.count(LOCKED).failcnt, bench.count(LOCKED).maxheld >= 19), (0, true));
    bench.worker.call(libc::SYS_mlock, &[at, bytes(3)]).expect("locked");
    assert_locked(&bench, 3);
    bench.finish();
}

pub(super) fn a_locked_segment_is_counted_until_it_is_unlocked(mut bench: Bench<'_>) {
    const SHM_LOCK: i64 = 11;
    let create = i64::from(libc::IPC_CREAT | 0o600);
    let id = bench.worker.call(libc::SYS_shmget, &[0, bytes(10), create]).expect("a segment");
    bench.worker.call(libc::SYS_shmctl, &[id, SHM_LOCK, 0]).expect("locked");
    assert_eq!(bench.held(LOCKED), 10);
    bench.worker.call(libc::SYS_shmctl, &[id, SHM_LOCK, 0]).expect("again");
    assert_eq!(bench.held(LOCKED), 10);
    bench.worker.call(libc::SYS_shmctl, &[id, SHM_LOCK + 1, 0]).expect("unlocked");
    assert_eq!(bench.held(LOCKED), 0);
    bench.worker.call(libc::SYS_shmctl, &[id, SHM_LOCK, 0]).expect("locked");
    bench.worker.call(libc::SYS_shmctl, &[id, 0, 0]).expect("removed");
    assert_eq!(bench.held(LOCKED), 0);
    bench.finish();
}
