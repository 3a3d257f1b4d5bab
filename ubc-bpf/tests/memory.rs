//! privvmpages, shmpages and lockedpages on the running kernel.

mod common;
#[path = "memory/worker.rs"]
mod worker;

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{Installed, Scratch, enforcer};
use ubc_bpf::{Count, Faults, Slot};
use ubc_core::{Limits, PerResource, Resource};
use worker::Worker;

const RW: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const PRIVATE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
const SHARED: i64 = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as i64;
const NORESERVE: i64 = libc::MAP_NORESERVE as i64;

#[test]
#[ignore = "no test, but what the others start"]
fn serve() {
    worker::serve();
}

/// A container with a worker in it.
struct Bench<'a> {
    installed: &'a Installed,
    slot: Slot,
    worker: Worker,
    scratch: Scratch,
}

/// Named after what goes wrong without what they check.
type Check = (&'static str, fn(Bench<'_>));

macro_rules! checks {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name)),*] };
}

const CHECKS: &[Check] = checks![
    a_map_beyond_the_limit_is_refused_and_counted_once,
    a_part_that_is_unmapped_or_replaced_is_given_back,
    memory_that_becomes_writable_is_charged_softly,
    brk_is_refused_at_the_barrier,
    mremap_is_refused_at_the_barrier,
    a_fork_that_does_not_fit_is_refused_and_leaves_nothing,
    the_stack_grows_beyond_the_barrier_but_not_beyond_the_limit,
    threads_of_one_process_neither_overshoot_nor_drift,
    a_shared_file_is_refused_page_by_page,
    a_fault_beyond_the_limit_kills_and_leaves_nothing,
    a_segment_is_charged_as_a_whole_until_it_is_removed,
    several_processes_never_have_more_than_the_limit,
    a_file_is_paid_by_its_maker_whoever_writes,
    an_exec_that_does_not_fit_leaves_nothing,
    what_was_there_before_is_counted_by_the_seed,
    a_process_that_moves_leaves_its_memory_where_it_is,
    a_fork_into_another_container_is_paid_there,
    forks_at_once_neither_overshoot_nor_drift,
    writers_of_one_file_neither_overshoot_nor_drift,
    locked_memory_is_counted_and_seeded,
    a_locked_segment_is_counted_until_it_is_unlocked,
];

/// One after the other on one set of programs: to load them takes longer than
/// all checks together.
#[test]
fn memory_is_counted_exactly_and_refused_where_it_should_be() {
    let Some(installed) = enforcer("memory_is_counted_exactly") else { return };
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(Bench::new(&installed))));
        println!("{:<68} {}", name, if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

impl<'a> Bench<'a> {
    fn new(installed: &'a Installed) -> Bench<'a> {
        let scratch = Scratch::new();
        let slot = installed.add(scratch.dir.as_fd(), 7, None).expect("a place");
        let worker = Worker::start(&scratch.path);
        Bench { installed, slot, worker, scratch }
    }

    fn count(&self, resource: Resource) -> Count {
        self.installed.counts(self.slot).expect("readable")[resource]
    }

    fn held(&self, resource: Resource) -> u64 {
        self.count(resource).held
    }

    fn limit(&self, resource: Resource, barrier: u64, limit: u64) {
        let mut limits = PerResource::default();
        limits[resource] = Some(Limits::new(barrier, limit).expect("in order"));
        self.installed.set_limits(self.slot, &limits).expect("written");
    }

    /// Room for so many pages more; the same for both bounds.
    fn room(&self, resource: Resource, pages: u64) {
        let most = self.held(resource) + pages;
        self.limit(resource, most, most);
    }

    fn unlimited(&self, resource: Resource) {
        let most = Limits::UNLIMITED;
        self.limit(resource, most.barrier, most.limit);
    }

    fn map(&mut self, pages: u64, prot: i64, flags: i64) -> Result<i64, i32> {
        self.worker.call(libc::SYS_mmap, &[0, bytes(pages), prot, flags, -1, 0])
    }

    fn unmap(&mut self, at: i64, pages: u64) {
        self.worker.call(libc::SYS_munmap, &[at, bytes(pages)]).expect("unmapped");
    }

    /// What the kernel says of all processes in the container.
    fn mapped(&self) -> u64 {
        let procs = fs::read_to_string(self.scratch.path.join("cgroup.procs")).expect("readable");
        let size = |pid: &str| status(pid, "VmData:") + status(pid, "VmStk:");
        procs.lines().map(size).sum::<u64>() / 4
    }

    fn shared_memory(&self) -> u64 {
        self.held(Resource::ShmPages)
    }

    #[track_caller]
    fn assert_exact(&self, when: &str) {
        assert_eq!(
            self.held(Resource::PrivvmPages),
            self.mapped() + self.shared_memory(),
            "privvmpages is not what the processes have, {when}"
        );
    }

    /// Ends what runs in it.
    fn end_all(&mut self) {
        fs::write(self.scratch.path.join("cgroup.kill"), "1").expect("killed");
        self.worker.killed_by();
    }

    /// Ends everything; nothing may stay.
    #[track_caller]
    fn finish(self) {
        let Bench { installed, slot, worker, scratch } = self;
        fs::write(scratch.path.join("cgroup.kill"), "1").expect("killed");
        drop(worker);
        let rows = [MEM, SHM, LOCKED, Resource::NumProc, Resource::NumFile];
        let mut counts = installed.counts(slot).expect("readable");
        for _ in 0..300 {
            if rows.iter().all(|row| counts[*row].held == 0) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            counts = installed.counts(slot).expect("readable");
        }
        for row in rows {
            assert_eq!(counts[row].held, 0, "{row} is held by nobody");
        }
        installed.remove(slot).expect("removed");
        assert_eq!(installed.objects(), 0, "records left");
        assert_eq!(installed.faults().expect("readable"), Faults::default());
    }
}

fn bytes(pages: u64) -> i64 {
    i64::try_from(pages * 4096).expect("in range")
}

/// KiB.
fn status(pid: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

const MEM: Resource = Resource::PrivvmPages;
const SHM: Resource = Resource::ShmPages;

fn a_map_beyond_the_limit_is_refused_and_counted_once(mut bench: Bench<'_>) {
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

fn a_part_that_is_unmapped_or_replaced_is_given_back(mut bench: Bench<'_>) {
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

fn memory_that_becomes_writable_is_charged_softly(mut bench: Bench<'_>) {
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

fn brk_is_refused_at_the_barrier(mut bench: Bench<'_>) {
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

fn mremap_is_refused_at_the_barrier(mut bench: Bench<'_>) {
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
        bench.unlimited(MEM);
        bench.unmap(at, 3);
    }
    bench.finish();
}

fn a_fork_that_does_not_fit_is_refused_and_leaves_nothing(mut bench: Bench<'_>) {
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

fn the_stack_grows_beyond_the_barrier_but_not_beyond_the_limit(mut bench: Bench<'_>) {
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

fn threads_of_one_process_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
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

fn several_processes_never_have_more_than_the_limit(mut bench: Bench<'_>) {
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

fn an_exec_that_does_not_fit_leaves_nothing(mut bench: Bench<'_>) {
    assert_eq!(bench.worker.ask("spawn"), 0);
    let before = bench.count(MEM);
    bench.room(MEM, 2000);
    assert_eq!(bench.worker.ask("spawn"), 0, "it fits");
    bench.room(MEM, 20);
    let outcome = bench.worker.ask("spawn");
    println!("exec beyond the limit: {outcome}");
    assert_ne!(outcome, 0, "it does not fit");
    assert!(bench.count(MEM).failcnt > before.failcnt);
    bench.unlimited(MEM);
    bench.assert_exact("after an exec that failed");
    bench.finish();
}

fn a_file_is_paid_by_its_maker_whoever_writes(mut bench: Bench<'_>) {
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

fn what_was_there_before_is_counted_by_the_seed(bench: Bench<'_>) {
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
    installed.seed().expect("seeded");
    assert_eq!(bench.held(SHM), 7);
    bench.assert_exact("after the seed");
    installed.seed().expect("seeded");
    bench.assert_exact("after another seed");
    assert_eq!(bench.held(LOCKED), 2);
    bench.room(MEM, 4);
    assert_eq!(bench.map(5, RW, PRIVATE), Err(libc::ENOMEM));
    bench.map(4, RW, PRIVATE).expect("it fits exactly");
    bench.finish();
}

fn memfd(bench: &mut Bench<'_>) -> i64 {
    let buffer = bench.worker.buffer;
    bench.worker.ask(&format!("name {buffer}"));
    bench.worker.call(libc::SYS_memfd_create, &[buffer, 0]).expect("a file")
}

fn a_shared_file_is_refused_page_by_page(mut bench: Bench<'_>) {
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

fn a_fault_beyond_the_limit_kills_and_leaves_nothing(mut bench: Bench<'_>) {
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

fn a_segment_is_charged_as_a_whole_until_it_is_removed(mut bench: Bench<'_>) {
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

fn a_process_that_moves_leaves_its_memory_where_it_is(mut bench: Bench<'_>) {
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

fn a_fork_into_another_container_is_paid_there(mut bench: Bench<'_>) {
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

fn forks_at_once_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
    bench.worker.ask("gather 3 40 -2");
    let before = bench.count(MEM);
    // Two copies fit at a time.
    bench.room(MEM, 2 * before.held + 10);
    let most = (3 * before.held + 10).max(before.maxheld);
    let refused = bench.worker.ask("rage");
    let after = bench.count(MEM);
    println!("{refused} refused, {before:?} -> {after:?}");
    assert!(after.maxheld <= most, "{} of {most}", after.maxheld);
    assert_eq!(after.failcnt - before.failcnt, u64::try_from(refused).expect("a count"));
    bench.assert_exact("after the forks");
    bench.finish();
}

fn writers_of_one_file_neither_overshoot_nor_drift(mut bench: Bench<'_>) {
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

const LOCKED: Resource = Resource::LockedPages;

#[track_caller]
fn assert_locked(bench: &Bench<'_>, pages: u64) {
    let pid = bench.worker.pid().to_string();
    assert_eq!((bench.held(LOCKED), status(&pid, "VmLck:") / 4), (pages, pages));
}

fn locked_memory_is_counted_and_seeded(mut bench: Bench<'_>) {
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

fn a_locked_segment_is_counted_until_it_is_unlocked(mut bench: Bench<'_>) {
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
