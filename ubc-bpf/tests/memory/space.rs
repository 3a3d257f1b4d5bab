//! Address spaces: every call that makes one larger.

use super::*;

pub(super) fn a_map_beyond_the_limit_is_refused_and_counted_once(mut bench: Bench<'_>) {
    bench.assert_exact("after an exec");
    for flags in [PRIVATE, PRIVATE | NORESERVE] {
        let before = bench.count(MEM);
        bench.room(MEM, 10);
        assert_eq!(bench.map(11, RW, flags), Err(libc::ENOMEM));
        let at = bench.map(10, RW, flags).expect("it fits exactly");
        assert_eq!(bench.map(1, RW, flags), Err(libc::ENOMEM));
        // Not private, or not writable: no memory of its own.
        let read = bench.map(100, i64::from(libc::PROT_READ), flags).expect("not counted");
        bench.unmap(read, 100);
        bench.assert_exact("at the limit");
        assert_eq!(bench.held(MEM), before.held + 10);
        assert_eq!(bench.count(MEM).failcnt, before.failcnt + 2);
        bench.unmap(at, 10);
        assert_eq!(bench.held(MEM), before.held);
    }
    bench.finish();
}

pub(super) fn a_part_that_is_unmapped_or_replaced_is_given_back(mut bench: Bench<'_>) {
    let before = bench.held(MEM);
    let at = bench.map(20, RW, PRIVATE).expect("no limit");
    bench.unmap(at + bytes(4), 5);
    assert_eq!(bench.held(MEM), before + 15);
    // Over the hole and three pages more, at a limit that only fits the hole.
    bench.room(MEM, 5);
    let fixed = PRIVATE | i64::from(libc::MAP_FIXED);
    let args = [at + bytes(4), bytes(8), RW, fixed, -1, 0];
    bench.worker.call(libc::SYS_mmap, &args).expect("it fits exactly");
    assert_eq!(bench.held(MEM), before + 20);
    bench.assert_exact("after replacing");
    let args = [at, bytes(20), i64::from(libc::PROT_NONE), fixed, -1, 0];
    bench.worker.call(libc::SYS_mmap, &args).expect("needs nothing");
    assert_eq!(bench.held(MEM), before);
    bench.finish();
}

pub(super) fn memory_that_becomes_writable_is_charged_softly(mut bench: Bench<'_>) {
    let none = i64::from(libc::PROT_NONE);
    for flags in [PRIVATE, PRIVATE | NORESERVE] {
        let at = bench.map(30, none, flags).expect("counts nothing");
        let before = bench.count(MEM);
        bench.limit(MEM, before.held + 2, before.held + 10);
        let protect = |bench: &mut Bench<'_>, from: u64, pages: u64, prot: i64| {
            bench.worker.call(libc::SYS_mprotect, &[at + bytes(from), bytes(pages), prot])
        };
        assert_eq!(protect(&mut bench, 0, 11, RW), Err(libc::ENOMEM));
        assert_eq!(bench.held(MEM), before.held);
        protect(&mut bench, 0, 10, RW).expect("beyond the barrier, within the limit");
        protect(&mut bench, 0, 10, RW).expect("nothing new");
        assert_eq!(bench.held(MEM), before.held + 10);
        bench.assert_exact("after mprotect");
        assert_eq!(bench.count(MEM).failcnt, before.failcnt + 1);
        protect(&mut bench, 3, 4, none).expect("gives back");
        assert_eq!(bench.held(MEM), before.held + 6);
        // A range with areas of both kinds pays for what is new in it.
        protect(&mut bench, 0, 10, RW).expect("fits exactly");
        assert_eq!(bench.held(MEM), before.held + 10);
        bench.unlimited(MEM);
        bench.unmap(at, 30);
        assert_eq!(bench.held(MEM), before.held);
    }
    bench.finish();
}

pub(super) fn brk_is_refused_at_the_barrier(mut bench: Bench<'_>) {
    let end = bench.worker.call(libc::SYS_brk, &[0]).expect("an address");
    let end = (end + 4095) & !4095;
    bench.worker.call(libc::SYS_brk, &[end]).expect("an address");
    let before = bench.count(MEM);
    bench.limit(MEM, before.held + 8, before.held + 100);
    let now = bench.worker.call(libc::SYS_brk, &[end + bytes(9)]).expect("an address");
    assert_eq!(now, end, "brk answers the old end");
    let now = bench.worker.call(libc::SYS_brk, &[end + bytes(8)]).expect("an address");
    assert_eq!(now, end + bytes(8));
    assert_eq!(bench.held(MEM), before.held + 8);
    assert_eq!(bench.count(MEM).failcnt, before.failcnt + 1);
    bench.assert_exact("after brk");
    bench.worker.call(libc::SYS_brk, &[end]).expect("an address");
    assert_eq!(bench.held(MEM), before.held);
    bench.finish();
}

pub(super) fn mremap_is_refused_at_the_barrier(mut bench: Bench<'_>) {
    let may_move = i64::from(libc::MREMAP_MAYMOVE);
    for flags in [PRIVATE, PRIVATE | NORESERVE] {
        let at = bench.map(10, RW, flags).expect("no limit");
        let before = bench.count(MEM);
        bench.limit(MEM, before.held + 6, before.held + 100);
        let grow = |bench: &mut Bench<'_>, from: i64, old: u64, new: u64| {
            bench.worker.call(libc::SYS_mremap, &[from, bytes(old), bytes(new), may_move])
        };
        assert_eq!(grow(&mut bench, at, 10, 17), Err(libc::ENOMEM));
        assert_eq!(bench.count(MEM).failcnt, before.failcnt + 1);
        assert_eq!(bench.held(MEM), before.held);
        let at = grow(&mut bench, at, 10, 16).expect("it fits exactly");
        assert_eq!(bench.held(MEM), before.held + 6);
        let at = grow(&mut bench, at, 16, 3).expect("gives back");
        assert_eq!(bench.held(MEM), before.held - 7);
        bench.assert_exact("after mremap");
        // A move of a map that stays is another map.
        let stays = may_move | i64::from(libc::MREMAP_DONTUNMAP);
        let twice = [at, bytes(3), bytes(3), stays];
        bench.room(MEM, 2);
        assert_eq!(bench.worker.call(libc::SYS_mremap, &twice), Err(libc::ENOMEM));
        bench.room(MEM, 3);
        let other = bench.worker.call(libc::SYS_mremap, &twice).expect("it fits exactly");
        assert_eq!(bench.held(MEM), before.held - 4);
        bench.assert_exact("after a move that left the map");
        bench.unlimited(MEM);
        bench.unmap(at, 3);
        bench.unmap(other, 3);
    }
    bench.finish();
}

pub(super) fn a_fork_that_does_not_fit_is_refused_and_leaves_nothing(mut bench: Bench<'_>) {
    bench.map(64, RW, PRIVATE | NORESERVE).expect("no limit");
    let before = bench.count(MEM);
    bench.limit(MEM, before.held * 2 - 1, before.held * 4);
    assert_eq!(bench.worker.ask("fork"), -i64::from(libc::ENOMEM));
    assert_eq!(bench.held(MEM), before.held);
    assert_eq!(bench.count(MEM).failcnt, before.failcnt + 1);
    bench.limit(MEM, before.held * 2, before.held * 4);
    assert!(bench.worker.ask("fork") > 0);
    assert_eq!(bench.held(MEM), before.held * 2);
    bench.assert_exact("after a fork");
    bench.finish();
}

pub(super) fn the_stack_grows_beyond_the_barrier_but_not_beyond_the_limit(mut bench: Bench<'_>) {
    let at = bench.map(600, RW, PRIVATE | i64::from(libc::MAP_GROWSDOWN)).expect("no limit");
    // Room below: the area grows when the page under it is touched.
    bench.unmap(at, 500);
    let low = at + bytes(500);
    let before = bench.count(MEM);
    bench.limit(MEM, before.held, before.held + 20);
    bench.worker.ask(&format!("touch {} {}", low - bytes(20), bytes(20)));
    assert_eq!(bench.held(MEM), before.held + 20, "20 pages beyond the barrier");
    bench.assert_exact("after growth");
    assert_eq!(bench.count(MEM).failcnt, before.failcnt);
    assert_eq!(bench.worker.try_ask(&format!("touch {} 1", low - bytes(21))), None);
    assert_eq!(bench.worker.killed_by(), Some(libc::SIGSEGV));
    assert!(bench.count(MEM).failcnt > before.failcnt);
    bench.finish();
}

pub(super) fn an_exec_that_does_not_fit_leaves_nothing(mut bench: Bench<'_>) {
    assert_eq!(bench.worker.ask("spawn"), 0);
    let before = bench.count(MEM);
    bench.room(MEM, 2000);
    assert_eq!(bench.worker.ask("spawn"), 0, "it fits");
    bench.room(MEM, 20);
    let outcome = bench.worker.ask("spawn");
    println!("exec beyond the limit: {outcome}");
    assert_ne!(outcome, 0, "it does not fit");
    assert!(bench.count(MEM).failcnt > before.failcnt);
    // An exec may use what is between barrier and limit; its program may not.
    let held = bench.held(MEM);
    bench.limit(MEM, held + 20, held + 3000);
    let mut events = ubc_bpf::Events::open(bench.installed).expect("open");
    let earlier = events.take().expect("readable");
    assert_ne!(bench.worker.ask("spawn"), 0, "the program got no memory");
    let refusals = events.take().expect("readable");
    assert!(!earlier.is_empty() && !refusals.is_empty());
    // What is refused is a call of the dynamic linker, when the exec has gone
    // beyond the barrier already.
    let is_late = |event: &ubc_bpf::Event| event.held > event.barrier && event.held < event.limit;
    assert!(refusals.iter().all(is_late), "{refusals:?}");
    bench.unlimited(MEM);
    bench.assert_exact("after an exec that failed");
    bench.finish();
}

pub(super) fn what_the_kernel_refuses_after_us_is_given_back(mut bench: Bench<'_>) {
    use rustix::process::{Pid, Resource as Bound, Rlimit, prlimit};
    let before = bench.count(MEM);
    let pid = Pid::from_raw(bench.worker.pid().cast_signed());
    let size = status(&bench.worker.pid().to_string(), "VmSize:") * 1024;
    let bound = |most| Rlimit { current: most, maximum: None };
    prlimit(pid, Bound::As, bound(Some(size + 4096))).expect("limited");
    for flags in [PRIVATE, PRIVATE | NORESERVE] {
        assert_eq!(bench.map(10, RW, flags), Err(libc::ENOMEM));
        assert_eq!(bench.held(MEM), before.held, "flags {flags:#x}");
    }
    prlimit(pid, Bound::As, bound(None)).expect("not limited");
    assert_eq!(bench.count(MEM).failcnt, before.failcnt, "that was none of ours");
    bench.assert_exact("after a refusal of the kernel");
    bench.finish();
}
