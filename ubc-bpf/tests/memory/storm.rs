//! Many at once.

use super::*;

pub(super) fn threads_of_one_process_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
    bench.worker.ask("gather 4 300");
    let before = bench.count(MEM);
    let most = before.held + 40;
    bench.limit(MEM, most, most);
    let refused = bench.worker.ask("rage");
    let after = bench.count(MEM);
    println!("{refused} refused, {before:?} -> {after:?}");
    assert!(refused > 0, "no storm");
    assert_eq!(after.failcnt - before.failcnt, u64::try_from(refused).expect("a count"));
    let most = most.max(before.maxheld);
    assert!(after.maxheld <= most, "{} of {most}", after.maxheld);
    bench.assert_exact("after the storm");
    bench.finish();
}

pub(super) fn several_processes_never_have_more_than_the_limit(mut bench: Bench<'_>) {
    let mut others: Vec<Worker> = (0..3).map(|_| Worker::start(&bench.scratch.path)).collect();
    bench.worker.ask("gather 2 200");
    for other in &mut others {
        other.ask("gather 2 200");
    }
    let before = bench.count(MEM);
    let most = before.held + 60;
    bench.limit(MEM, most, most);
    for other in &mut others {
        other.tell("rage");
    }
    let mut refused = bench.worker.ask("rage");
    for other in &mut others {
        refused += other.answer().expect("it lives");
    }
    let after = bench.count(MEM);
    println!("{refused} refused, {before:?} -> {after:?}");
    let most = most.max(before.maxheld);
    assert!(after.maxheld <= most, "{} of {most}", after.maxheld);
    assert_eq!(after.failcnt - before.failcnt, u64::try_from(refused).expect("a count"));
    bench.assert_exact("after the storm");
    drop(others);
    bench.finish();
}

pub(super) fn forks_at_once_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
    bench.worker.ask("gather 3 40 -2");
    let before = bench.count(MEM);
    // One copy fits at a time.
    bench.room(MEM, before.held + 10);
    let most = (2 * before.held + 10).max(before.maxheld);
    let refused = bench.worker.ask("rage");
    let after = bench.count(MEM);
    println!("{refused} refused, {before:?} -> {after:?}");
    assert!(after.maxheld <= most, "{} of {most}", after.maxheld);
    assert_eq!(after.failcnt - before.failcnt, u64::try_from(refused).expect("a count"));
    bench.assert_exact("after the forks");
    bench.finish();
}

pub(super) fn writers_of_one_file_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
    let fd = memfd(&mut bench);
    bench.room(SHM, 14);
    bench.worker.ask(&format!("gather 4 200 {fd}"));
    let before = bench.count(SHM);
    let refused = bench.worker.ask("rage");
    let after = bench.count(SHM);
    println!("{refused} refused, {before:?} -> {after:?}");
    assert!(after.maxheld <= 14, "{}", after.maxheld);
    assert!(refused > 0, "no storm");
    assert_eq!(after.failcnt - before.failcnt, u64::try_from(refused).expect("a count"));
    let path = format!("/proc/{}/fd/{fd}", bench.worker.pid());
    let blocks = fs::metadata(path).expect("open").blocks();
    assert_eq!(after.held, blocks / 8, "what the kernel says of the file");
    bench.worker.call(libc::SYS_ftruncate, &[fd, 0]).expect("truncated");
    assert_eq!(bench.held(SHM), 0);
    bench.finish();
}
