//! kmemsize on the running kernel: what is counted is what the memory controller
//! has, and bombs of every kind end near the limit.
#![allow(unsafe_code, reason = "raw system calls are what bombs are made of")]

mod bombs;
#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bombs::{
    Bomb, KINDS, Kind, files, files_once, forks, forks_once, maps, repeat, sockets, sockets_once,
    touch, touches,
};
use common::shared::{Shared, shared};
use common::task::Task;
use common::{Scratch, unified};
use ubc_bpf::{Slot, Verdict};
use ubc_core::Resource;

const KMEM: Resource = Resource::KmemSize;
const MIB: u64 = 1 << 20;

/// The enforcer, if the memory controller is in cgroup v2 here.
fn kernel_memory(test: &str) -> Option<Shared> {
    let has = |file: &str| {
        let controllers = fs::read_to_string(unified().join(file)).unwrap_or_default();
        controllers.split_ascii_whitespace().any(|controller| controller == "memory")
    };
    if !has("cgroup.controllers") {
        println!("SKIP: {test}: the memory controller is not in cgroup v2 here");
        return None;
    }
    let shared = shared(test)?;
    if !has("cgroup.subtree_control") {
        fs::write(unified().join("cgroup.subtree_control"), "+memory").expect("enabled");
    }
    Some(shared)
}

/// What the controller has; `cpu.stat` makes it add up.
fn controllers(cgroup: &Path) -> u64 {
    fs::read_to_string(cgroup.join("cpu.stat")).expect("readable");
    let text = fs::read_to_string(cgroup.join("memory.stat")).expect("readable");
    let kernel = text.lines().find_map(|line| line.strip_prefix("kernel "));
    kernel.expect("it is there").parse().expect("a number")
}

#[track_caller]
fn assert_exact(enforcer: &Shared, slot: Slot, cgroup: &Path, when: &str) {
    let mut seen = (0, 1);
    for _ in 0..1000 {
        seen = (enforcer.held(slot, KMEM), controllers(cgroup));
        if seen.0 == seen.1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(seen.0, seen.1, "held and memory.stat, {when}");
}

fn bomb(cgroup: &Path, bomb: Bomb) -> Task {
    Task::start(cgroup, move |port| {
        let many = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
        // SAFETY: the structure outlives the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const many) };
        // SAFETY: numbers only. What is made in a namespace ends with it.
        unsafe { libc::unshare(libc::CLONE_NEWIPC) };
        port.hear();
        let (done, errno) = bomb();
        port.say(done);
        port.say(i64::from(errno));
        port.hear();
    })
}

fn kill(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.kill"), "1").expect("killed");
}

#[test]
fn what_is_counted_is_what_the_controller_has() {
    let Some(enforcer) = kernel_memory("what_is_counted_is_what_the_controller_has") else {
        return;
    };
    let (scratch, slot) = enforcer.container(41);
    let inner = scratch.path.join("inner");
    fs::create_dir(&inner).expect("made");
    fs::write(scratch.path.join("cgroup.subtree_control"), "+memory").expect("enabled");
    assert_exact(&enforcer, slot, &scratch.path, "empty");
    let bombs: [Bomb; 3] = [
        || repeat(|at| if at < 30 { forks_once() } else { -1 }),
        || repeat(|at| if at < 1000 { files_once() } else { -1 }),
        || repeat(|at| if at < 100 { sockets_once() } else { -1 }),
    ];
    for (number, work) in bombs.into_iter().enumerate() {
        let mut task = bomb(&inner, work);
        task.say(0);
        assert!(task.hear() >= 30);
        task.hear();
        assert!(enforcer.held(slot, KMEM) > 100_000);
        assert_exact(&enforcer, slot, &scratch.path, &format!("with bomb {number}"));
        kill(&inner);
        task.kill();
        assert_exact(&enforcer, slot, &scratch.path, &format!("after bomb {number}"));
    }
    remove_cgroup(&inner);
    assert_exact(&enforcer, slot, &scratch.path, "without the inner cgroup");
    drop(scratch);
    enforcer.remove(slot).expect("removable");
}

/// Of what the controller has, what the kernel says it could give up.
fn reclaimable(cgroup: &Path) -> u64 {
    fs::read_to_string(cgroup.join("cpu.stat")).expect("readable");
    let text = fs::read_to_string(cgroup.join("memory.stat")).expect("readable");
    let bytes = text.lines().find_map(|line| line.strip_prefix("slab_reclaimable "));
    bytes.expect("it is there").parse().expect("a number")
}

#[track_caller]
fn remove_cgroup(cgroup: &Path) {
    for _ in 0..1000 {
        if fs::remove_dir(cgroup).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} stays behind", cgroup.display());
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let Some(enforcer) = kernel_memory("a_bomb_ends_at_the_limit") else { return };
    for Kind { name, bomb: work, errnos, row } in KINDS {
        let (scratch, slot) = enforcer.container(42);
        let mut task = bomb(&scratch.path, work);
        let before = row.map_or(0, |row| enforcer.held(slot, row));
        // A fault beyond the limit would kill the children of a fork.
        let most = enforcer.held(slot, KMEM) + 4 * MIB;
        enforcer.bound(slot, KMEM, most, most + 4 * MIB);
        task.say(0);
        let done = task.hear();
        let errno = task.hear();
        assert!(errnos.iter().any(|e| i64::from(*e) == errno), "{name} after {done}: {errno}");
        let count = enforcer.count(slot, KMEM);
        // Exact before it is compared: the controller has added up.
        assert_exact(&enforcer, slot, &scratch.path, name);
        let kept = count.maxheld - reclaimable(&scratch.path);
        let over = (kept.cast_signed() - most.cast_signed()) / 1024;
        println!(
            "FACT: kmemsize | {name} | {over} KiB over the barrier, and {} KiB reclaimable",
            reclaimable(&scratch.path) / 1024
        );
        assert_eq!(count.failcnt, 1, "{name} after {done}");
        assert!((-512..512).contains(&over), "{name} after {done}: {over} KiB over");
        if let Some(row) = row {
            enforcer.settles(slot, row, before + done.unsigned_abs());
        }
        kill(&scratch.path);
        task.kill();
        for inner in fs::read_dir(&scratch.path).expect("readable").flatten() {
            if inner.path().is_dir() {
                remove_cgroup(&inner.path());
            }
        }
        assert_exact(&enforcer, slot, &scratch.path, name);
        enforcer.remove(slot).expect("removable");
    }
}

const PIPES: usize = 100;

/// What no gate sees: pages of pipes that exist already. It passes the limit by
/// that, is counted, and nothing new comes after it.
#[test]
fn what_fills_up_between_two_gates_is_counted() {
    let Some(enforcer) = kernel_memory("what_fills_up_between_two_gates_is_counted") else {
        return;
    };
    let (scratch, slot) = enforcer.container(48);
    let mut task = Task::start(&scratch.path, |port| {
        let mut ends = [[0; 2]; PIPES];
        for pipe in &mut ends {
            // SAFETY: room for two descriptors.
            let made = unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK) };
            assert_eq!(made, 0);
        }
        port.say(0);
        port.hear();
        let bytes = [0u8; 4096];
        let mut written = 0;
        for [_, end] in ends {
            // SAFETY: a buffer as long as is said.
            while let 1.. = unsafe { libc::write(end, bytes.as_ptr().cast(), bytes.len()) } {
                written += 1;
            }
        }
        port.say(written);
        port.say(files_once());
        port.hear();
    });
    task.hear();
    let most = enforcer.room(slot, KMEM, MIB);
    let pages = task.step().unsigned_abs();
    assert_eq!(task.hear(), -1, "a file beyond the limit");
    let count = enforcer.count(slot, KMEM);
    println!(
        "FACT: kmemsize | {PIPES} pipes filled | {} KiB over the limit for {} KiB written",
        (count.maxheld - most) / 1024,
        pages * 4
    );
    assert_eq!(count.failcnt, 1);
    assert!(count.maxheld > most && count.maxheld < most + pages * 4096, "{count:?} of {most}");
    assert_exact(&enforcer, slot, &scratch.path, "with full pipes");
    task.kill();
    enforcer.remove(slot).expect("removable");
}

#[test]
fn a_fault_beyond_the_limit_kills() {
    let Some(enforcer) = kernel_memory("a_fault_beyond_the_limit_kills") else { return };
    let (scratch, slot) = enforcer.container(43);
    let mut task = bomb(&scratch.path, touches);
    let most = enforcer.room(slot, KMEM, 4 * MIB);
    task.say(0);
    let status = task.ended();
    assert_eq!(status & 0x7f, libc::SIGKILL, "killed, not {status:#x}");
    let count = enforcer.count(slot, KMEM);
    println!(
        "FACT: kmemsize | page faults | {} KiB over the limit, then killed",
        (count.maxheld.cast_signed() - most.cast_signed()) / 1024
    );
    assert_eq!(count.failcnt, 1);
    assert!(count.maxheld < most + MIB, "{count:?}");
    assert_exact(&enforcer, slot, &scratch.path, "after the kill");
    enforcer.remove(slot).expect("removable");
}

/// The kernel would end every process of the container with it.
#[test]
fn the_first_process_of_a_container_is_not_killed() {
    let Some(enforcer) = kernel_memory("the_first_process_of_a_container_is_not_killed") else {
        return;
    };
    let (scratch, slot) = enforcer.container(49);
    let mut task = Task::start(&scratch.path, |port| {
        port.hear();
        // SAFETY: numbers only; the child ends without unwinding.
        let status = unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWPID), 0);
            match libc::fork() {
                0 => libc::_exit(i32::from(touch(2048).0 != 2048)),
                init => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(init, &raw mut status, 0), init);
                    status
                }
            }
        };
        port.say(status.into());
        port.hear();
    });
    let most = enforcer.room(slot, KMEM, 4 * MIB);
    assert_eq!(task.step(), 0, "how it ended");
    let count = enforcer.count(slot, KMEM);
    assert!(count.maxheld > most + 3 * MIB && count.failcnt == 0, "{count:?} of {most}");
    task.kill();
    drop(scratch);
    enforcer.remove(slot).expect("removable");
}

/// Twenty cgroups of one container at once, and a container around it.
#[test]
fn bombs_in_many_cgroups_at_once_end_at_the_limit() {
    let Some(enforcer) = kernel_memory("bombs_in_many_cgroups_at_once_end_at_the_limit") else {
        return;
    };
    let (scratch, outer) = enforcer.container(44);
    fs::write(scratch.path.join("cgroup.subtree_control"), "+memory").expect("enabled");
    let middle = scratch.path.join("inner");
    fs::create_dir(&middle).expect("made");
    let dir = fs::File::open(&middle).expect("opened");
    let slot = enforcer.add(dir.as_fd(), 45, None).expect("a place");
    fs::write(middle.join("cgroup.subtree_control"), "+memory").expect("enabled");
    let cgroups: Vec<PathBuf> = (0..20).map(|at| middle.join(at.to_string())).collect();
    let mut tasks = Vec::new();
    for (at, cgroup) in cgroups.iter().enumerate() {
        fs::create_dir(cgroup).expect("made");
        tasks.push(bomb(cgroup, [forks, files, sockets, maps][at % 4]));
    }
    let most = enforcer.held(slot, KMEM) + 16 * MIB;
    // A fault beyond the limit would kill those that are to hear of the barrier.
    enforcer.bound(slot, KMEM, most, most + 4 * MIB);
    for task in &mut tasks {
        task.say(0);
    }
    for task in &mut tasks {
        task.hear();
        assert_eq!(task.hear(), i64::from(libc::ENOMEM));
    }
    let count = enforcer.count(slot, KMEM);
    let over =
        count.maxheld.cast_signed() - reclaimable(&middle).cast_signed() - most.cast_signed();
    println!("FACT: kmemsize | 20 bombs in 20 cgroups | {} KiB over the barrier", over / 1024);
    assert!(count.failcnt >= 20 && over < 2 * MIB.cast_signed(), "{count:?}");
    assert_eq!(enforcer.failcnt(outer, KMEM), 0);
    assert_exact(&enforcer, slot, &middle, "in the inner one");
    assert_exact(&enforcer, outer, &scratch.path, "in the outer one");
    kill(&scratch.path);
    drop(tasks);
    assert_exact(&enforcer, slot, &middle, "in the inner one, at the end");
    for cgroup in cgroups.iter().chain([&middle]) {
        remove_cgroup(cgroup);
    }
    enforcer.remove(slot).expect("removable");
    assert_exact(&enforcer, outer, &scratch.path, "in the outer one, at the end");
    drop(scratch);
    enforcer.remove(outer).expect("removable");
}

/// A walk through files fills caches that the kernel can empty: no reason to refuse.
#[test]
fn caches_of_names_are_in_nobodys_way() {
    let Some(enforcer) = kernel_memory("caches_of_names_are_in_nobodys_way") else { return };
    let (scratch, slot) = enforcer.container(46);
    let most = enforcer.room(slot, KMEM, 3 * MIB);
    let mut task = Task::start(&scratch.path, |port| {
        let mut failed = 0;
        for number in 0..60_000 {
            // Names that are not there: an entry of the cache for each.
            let name = format!("/nowhere-{number}\0");
            // SAFETY: a string that ends.
            let error = unsafe { libc::access(name.as_ptr().cast(), libc::F_OK) };
            let errno = std::io::Error::last_os_error().raw_os_error();
            failed += i64::from(error == 0 || errno != Some(libc::ENOENT));
        }
        failed += i64::from(files_once() < 0);
        port.say(failed);
        port.hear();
    });
    assert_eq!(task.hear(), 0);
    let count = enforcer.count(slot, KMEM);
    assert!(count.held > most && count.failcnt == 0, "{count:?} of {most}");
    task.kill();
    drop(scratch);
    enforcer.remove(slot).expect("removable");
}

/// A container that is taken up while it runs is not counted from nothing.
#[test]
fn what_was_there_before_is_weighed() {
    let Some(enforcer) = kernel_memory("what_was_there_before_is_weighed") else { return };
    let scratch = Scratch::new();
    let mut task = bomb(&scratch.path, || repeat(|at| if at < 20 { forks_once() } else { -1 }));
    task.say(0);
    task.hear();
    let slot = enforcer.add(scratch.dir.as_fd(), 47, None).expect("a place");
    assert!(enforcer.held(slot, KMEM) > 20 * 16384);
    assert_exact(&enforcer, slot, &scratch.path, "taken over");
    kill(&scratch.path);
    task.kill();
    assert_exact(&enforcer, slot, &scratch.path, "at the end");
    enforcer.remove(slot).expect("removable");
}

#[test]
fn the_self_test_sees_a_refusal() {
    let Some(enforcer) = kernel_memory("the_self_test_sees_a_refusal") else { return };
    let scratch = Scratch::new();
    let outcomes = enforcer.self_test(scratch.dir.as_fd()).expect("it can be made");
    let outcome = outcomes.iter().find(|outcome| outcome.resource == KMEM).expect("tested");
    assert_eq!(outcome.verdict, Verdict::Enforced { errno: libc::ENOMEM });
}
