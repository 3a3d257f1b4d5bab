//! privvmpages, shmpages and lockedpages on the running kernel.

mod common;
#[path = "memory/locked.rs"]
mod locked;
#[path = "memory/lying.rs"]
mod lying;
#[path = "memory/owner.rs"]
mod owner;
#[path = "memory/rounds.rs"]
mod rounds;
#[path = "memory/shm.rs"]
mod shm;
#[path = "memory/space.rs"]
mod space;
#[path = "memory/storm.rs"]
mod storm;
#[path = "memory/swap.rs"]
mod swap;
#[path = "memory/tmpfs.rs"]
mod tmpfs;
#[path = "memory/worker.rs"]
mod worker;

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{Installed, Scratch, all_given_back, enforcer};
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
    ($($module:ident::$name:ident),* $(,)?) => { &[$((stringify!($name), $module::$name)),*] };
}

const CHECKS: &[Check] = checks![
    space::a_map_beyond_the_limit_is_refused_and_counted_once,
    space::a_part_that_is_unmapped_or_replaced_is_given_back,
    space::memory_that_becomes_writable_is_charged_softly,
    space::brk_is_refused_at_the_barrier,
    space::mremap_is_refused_at_the_barrier,
    space::a_fork_that_does_not_fit_is_refused_and_leaves_nothing,
    space::the_stack_grows_beyond_the_barrier_but_not_beyond_the_limit,
    space::what_the_kernel_refuses_after_us_is_given_back,
    storm::threads_of_one_process_neither_overshoot_nor_drift,
    shm::a_shared_file_is_refused_page_by_page,
    shm::a_fault_beyond_the_limit_kills_and_leaves_nothing,
    shm::a_segment_is_charged_as_a_whole_until_it_is_removed,
    storm::several_processes_never_have_more_than_the_limit,
    owner::a_file_is_paid_by_its_maker_whoever_writes,
    space::an_exec_that_does_not_fit_leaves_nothing,
    owner::what_was_there_before_is_counted_by_the_seed,
    owner::a_process_that_moves_leaves_its_memory_where_it_is,
    owner::a_fork_into_another_container_is_paid_there,
    storm::forks_at_once_neither_overshoot_nor_drift,
    storm::writers_of_one_file_neither_overshoot_nor_drift,
    locked::locked_memory_is_counted_and_seeded,
    locked::a_locked_segment_is_counted_until_it_is_unlocked,
    lying::what_lies_on_a_tmpfs_of_its_own_is_found_and_given_back,
    lying::what_others_have_on_a_shared_tmpfs_stays_theirs,
    lying::a_file_whose_writers_cgroup_is_gone_is_found,
    lying::a_segment_that_nobody_uses_is_found,
    lying::a_file_of_which_a_part_was_swapped_out_is_found_whole,
    lying::files_that_come_and_go_while_it_is_looked_for_them_leave_nothing,
    lying::what_is_unmounted_while_it_is_looked_at_leaves_nothing,
];

/// One after the other on one set of programs: to load them takes longer than
/// all checks together.
#[test]
fn memory_is_counted_exactly_and_refused_where_it_should_be() {
    let Some(installed) = enforcer("memory_is_counted_exactly") else { return };
    // Else each of them would fail, for one reason that none tells.
    assert!(installed.mechanism(MEM).is_some(), "{:?}", installed.standings());
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
        for _ in 0..1000 {
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
        all_given_back(installed);
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

fn memfd(bench: &mut Bench<'_>) -> i64 {
    let buffer = bench.worker.buffer;
    bench.worker.ask(&format!("name {buffer}"));
    bench.worker.call(libc::SYS_memfd_create, &[buffer, 0]).expect("a file")
}
const LOCKED: Resource = Resource::LockedPages;
