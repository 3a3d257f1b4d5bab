//! Who pays.

use super::*;

pub(super) fn a_file_is_paid_by_its_maker_whoever_writes(mut bench: Bench<'_>) {
    let fd = memfd(&mut bench);
    let stranger = Bench::new(bench.installed);
    let mut stranger = stranger;
    let pid = bench.worker.pid();
    let theirs = stranger.worker.ask(&format!("open {pid} {fd}"));
    assert!(theirs >= 0, "{theirs}");
    bench.room(SHM, 6);
    let before = stranger.held(MEM);
    let allocate = [theirs, 0, 0, bytes(6)];
    stranger.worker.call(libc::SYS_fallocate, &allocate).expect("it fits");
    assert_eq!((bench.held(SHM), stranger.held(SHM)), (6, 0));
    assert_eq!(stranger.held(MEM), before);
    let allocate = [theirs, 0, 0, bytes(7)];
    assert_eq!(stranger.worker.call(libc::SYS_fallocate, &allocate), Err(libc::ENOSPC));
    assert_eq!((bench.count(SHM).failcnt, stranger.count(SHM).failcnt), (1, 0));
    // It outlives its maker's container, as far as others use it.
    stranger.worker.call(libc::SYS_ftruncate, &[theirs, bytes(2)]).expect("truncated");
    assert_eq!(bench.held(SHM), 2);
    stranger.worker.call(libc::SYS_close, &[theirs]).expect("closed");
    bench.worker.call(libc::SYS_close, &[fd]).expect("closed");
    assert_eq!(bench.held(SHM), 0);
    let Bench { slot, worker, .. } = stranger;
    drop(worker);
    bench.installed.remove(slot).expect("removed");
    bench.finish();
}

pub(super) fn what_was_there_before_is_counted_by_the_seed(bench: Bench<'_>) {
    let Bench { installed, slot, worker, scratch } = bench;
    drop(worker);
    installed.remove(slot).expect("removed");
    // A container that nobody knows yet.
    let mut worker = Worker::start(&scratch.path);
    let create = i64::from(libc::IPC_CREAT | 0o600);
    let id = worker.call(libc::SYS_shmget, &[0, bytes(7), create]).expect("a segment");
    worker.call(libc::SYS_shmat, &[id, 0, 0]).expect("attached");
    worker.call(libc::SYS_shmctl, &[id, 0, 0]).expect("removed when unused");
    let locked = [0, bytes(2), RW, PRIVATE | i64::from(libc::MAP_LOCKED), -1, 0];
    worker.call(libc::SYS_mmap, &locked).expect("locked");
    let slot = installed.add(scratch.dir.as_fd(), 8, None).expect("a place");
    let mut bench = Bench { installed, slot, worker, scratch };
    assert_eq!(bench.held(MEM), 0);
    installed.seed(slot).expect("seeded");
    assert_eq!(bench.held(SHM), 7);
    bench.assert_exact("after the seed");
    installed.seed(slot).expect("seeded");
    bench.assert_exact("after another seed");
    assert_eq!(bench.held(LOCKED), 2);
    bench.room(MEM, 4);
    assert_eq!(bench.map(5, RW, PRIVATE), Err(libc::ENOMEM));
    bench.map(4, RW, PRIVATE).expect("it fits exactly");
    bench.finish();
}

pub(super) fn a_process_that_moves_leaves_its_memory_where_it_is(mut bench: Bench<'_>) {
    let mut other = Bench::new(bench.installed);
    let theirs = other.held(MEM);
    let before = bench.held(MEM);
    let procs = |bench: &Bench<'_>| bench.scratch.path.join("cgroup.procs");
    fs::write(procs(&other), bench.worker.pid().to_string()).expect("moved");
    let at = bench.map(10, RW, PRIVATE).expect("no limit");
    assert_eq!((bench.held(MEM), other.held(MEM)), (before + 10, theirs));
    bench.room(MEM, 0);
    assert_eq!(bench.map(1, RW, PRIVATE), Err(libc::ENOMEM));
    // What it makes is the other's: a copy of its own address space.
    assert!(bench.worker.ask("fork") > 0);
    assert_eq!((bench.held(MEM), other.held(MEM)), (before + 10, theirs + before + 10));
    bench.unmap(at, 10);
    assert_eq!(bench.held(MEM), before);
    // One that comes from outside is taken in as it is.
    let stray = Scratch::new();
    let mut worker = Worker::start(&stray.path);
    let (of_bench, of_other) = (bench.held(MEM), other.held(MEM));
    fs::write(procs(&other), worker.pid().to_string()).expect("moved");
    let pid = worker.pid().to_string();
    let size = (status(&pid, "VmData:") + status(&pid, "VmStk:")) / 4;
    assert_eq!((bench.held(MEM), other.held(MEM)), (of_bench, of_other + size));
    worker.call(libc::SYS_mmap, &[0, bytes(3), RW, PRIVATE, -1, 0]).expect("no limit");
    assert_eq!(other.held(MEM), of_other + size + 3);
    drop(worker);
    let gone = fs::write(bench.scratch.path.join("cgroup.procs"), bench.worker.pid().to_string());
    gone.expect("moved back");
    other.end_all();
    let Bench { slot, .. } = other;
    bench.installed.remove(slot).expect("removed");
    bench.finish();
}

pub(super) fn a_fork_into_another_container_is_paid_there(mut bench: Bench<'_>) {
    let mut other = Bench::new(bench.installed);
    let (ours, theirs) = (bench.held(MEM), other.held(MEM));
    let into = other.scratch.dir.as_raw_fd();
    let fd = bench.worker.ask(&format!("open {} {into}", std::process::id()));
    assert!(fd >= 0, "{fd}");
    assert!(bench.worker.ask(&format!("fork {fd}")) > 0);
    assert_eq!((bench.held(MEM), other.held(MEM)), (ours, theirs + ours));
    other.end_all();
    let Bench { slot, .. } = other;
    bench.installed.remove(slot).expect("removed");
    bench.finish();
}
