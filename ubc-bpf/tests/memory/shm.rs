//! Shared memory.

use super::*;

pub(super) fn a_shared_file_is_refused_page_by_page(mut bench: Bench<'_>) {
    let fd = memfd(&mut bench);
    let (held, private) = (bench.held(SHM), bench.held(MEM));
    bench.room(SHM, 10);
    assert_eq!(bench.worker.call(libc::SYS_fallocate, &[fd, 0, 0, bytes(11)]), Err(libc::ENOSPC));
    assert_eq!(bench.held(SHM), held, "a failed fallocate gives everything back");
    bench.worker.call(libc::SYS_fallocate, &[fd, 0, 0, bytes(10)]).expect("it fits exactly");
    assert_eq!(bench.held(SHM), held + 10);
    assert_eq!(bench.held(MEM), private + 10, "shared memory counts to privvmpages");
    let buffer = bench.worker.buffer;
    let write = [fd, buffer, 4096, bytes(10)];
    assert_eq!(bench.worker.call(libc::SYS_pwrite64, &write), Err(libc::ENOSPC));
    assert_eq!(bench.count(SHM).failcnt, 2);
    bench.worker.call(libc::SYS_ftruncate, &[fd, bytes(3)]).expect("truncated");
    assert_eq!(bench.held(SHM), held + 3);
    // A hole, then written again.
    bench.worker.call(libc::SYS_fallocate, &[fd, 3, 0, bytes(2)]).expect("a hole");
    assert_eq!(bench.held(SHM), held + 1);
    bench.worker.call(libc::SYS_pwrite64, &[fd, buffer, 4096, 0]).expect("fits");
    assert_eq!(bench.held(SHM), held + 2);
    bench.worker.call(libc::SYS_close, &[fd]).expect("closed");
    assert_eq!(bench.held(SHM), held);
    assert_eq!(bench.held(MEM), private);
    bench.finish();
}

pub(super) fn a_fault_beyond_the_limit_kills_and_leaves_nothing(mut bench: Bench<'_>) {
    let fd = memfd(&mut bench);
    bench.worker.call(libc::SYS_ftruncate, &[fd, bytes(20)]).expect("sized");
    let args = [0, bytes(20), RW, i64::from(libc::MAP_SHARED), fd, 0];
    let at = bench.worker.call(libc::SYS_mmap, &args).expect("mapped");
    bench.room(SHM, 5);
    bench.worker.ask(&format!("touch {at} {}", bytes(5)));
    assert_eq!(bench.held(SHM), 5);
    assert_eq!(bench.worker.try_ask(&format!("touch {} 1", at + bytes(5))), None);
    assert_eq!(bench.worker.killed_by(), Some(libc::SIGBUS));
    assert_eq!(bench.held(SHM), 0);
    bench.finish();
}

pub(super) fn a_segment_is_charged_as_a_whole_until_it_is_removed(mut bench: Bench<'_>) {
    bench.room(SHM, 10);
    let create = i64::from(libc::IPC_CREAT | 0o600);
    assert_eq!(bench.worker.call(libc::SYS_shmget, &[0, bytes(11), create]), Err(libc::ENOMEM));
    let id = bench.worker.call(libc::SYS_shmget, &[0, bytes(10), create]).expect("fits");
    assert_eq!((bench.held(SHM), bench.count(SHM).failcnt), (10, 1));
    let at = bench.worker.call(libc::SYS_shmat, &[id, 0, 0]).expect("attached");
    bench.worker.ask(&format!("touch {at} {}", bytes(10)));
    assert_eq!(bench.held(SHM), 10, "it is charged already");
    bench.worker.call(libc::SYS_shmctl, &[id, 0, 0]).expect("removed when unused");
    assert_eq!(bench.held(SHM), 10, "but it is still attached");
    bench.worker.call(libc::SYS_shmdt, &[at]).expect("detached");
    assert_eq!(bench.held(SHM), 0);
    // So is memory shared by forks.
    let at = bench.map(10, RW, SHARED).expect("fits");
    assert_eq!(bench.held(SHM), 10);
    assert_eq!(bench.map(1, RW, SHARED), Err(libc::ENOMEM));
    bench.unmap(at, 10);
    assert_eq!(bench.held(SHM), 0);
    bench.assert_exact("after shared memory");
    bench.finish();
}
