//! Containers that ran before anybody looked.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libc::{F_RDLCK, F_UNLCK, F_WRLCK};
use rustix::io::{FdFlags, fcntl_setfd};
use ubc_core::Resource;

use crate::common::Scratch;
use crate::common::shared::shared;
use crate::common::task::Task;
use crate::{locks, sys, terminals};

fn kept(file: File) -> File {
    fcntl_setfd(&file, FdFlags::empty()).expect("a descriptor");
    file
}

/// Becomes a program that sleeps, with files of its own only.
fn sleep() -> ! {
    panic!("{}", Command::new("/bin/sleep").arg("1000").exec())
}

/// Open files, told apart by the kernel, and mapped ones, by their inode: each
/// of these programs maps a file once.
fn files_of(pids: &[i32]) -> usize {
    let mut known: Vec<(i32, i32)> = Vec::new();
    let mut mapped = 0;
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives") {
            let name = entry.expect("readable").file_name();
            let fd = name.to_str().and_then(|name| name.parse().ok()).expect("a number");
            if !known.iter().any(|(other, theirs)| sys::is_same_file(*pid, fd, *other, *theirs)) {
                known.push((*pid, fd));
            }
        }
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
        let inodes: BTreeSet<&str> = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(4))
            .filter(|inode| *inode != "0")
            .collect();
        mapped += inodes.len();
    }
    known.len() + mapped
}

fn is_asleep(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|w| w.contains("nanosleep"))
        && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
}

#[test]
fn what_a_container_held_before_is_counted_and_given_back() {
    let Some(enforcer) = shared("what_a_container_held_before_is_counted_and_given_back") else {
        return;
    };
    let scratch = Scratch::new();
    let signal = libc::SIGRTMIN() + 6;
    let (locked, inode) = {
        let path = format!("/tmp/ubc-seed-{}", std::process::id());
        fs::write(&path, "x").expect("writable");
        let inode = fs::metadata(&path).expect("it is there").ino();
        (path, inode)
    };
    let at = locked.clone();
    let task = Task::start(&scratch.path, move |_| {
        sys::close_all_but_standard();
        for standard in 0..3 {
            sys::replace(&File::open("/dev/null").expect("opened"), standard);
        }
        // Two programs and a zombie.
        for _ in 0..2 {
            sys::fork(|| {
                sys::die_with_parent();
                sleep()
            })
            .expect("forked");
        }
        sys::fork(|| ()).expect("forked");
        sys::block(&[signal]);
        let open = || {
            let mut options = File::options();
            kept(
                options
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NOCTTY)
                    .open(&at)
                    .expect("it opens"),
            )
        };
        let files = [open(), open()];
        let _same = kept(files[0].try_clone().expect("duplicated"));
        assert_eq!(sys::lock(&files[0], sys::POSIX, F_WRLCK, 0, 100), 0);
        assert_eq!(sys::lock(&files[0], sys::POSIX, F_UNLCK, 5, 5), 0);
        assert_eq!(sys::lock(&files[1], sys::OFD, F_RDLCK, 200, 100), 0);
        assert_eq!(sys::flock(&files[0], libc::LOCK_SH), 0);
        assert_eq!(sys::flock(&files[1], libc::LOCK_SH), 0);
        let leased = kept(locks::file());
        assert_eq!(sys::lease(&leased, F_WRLCK), 0);
        let masters = [terminals::master("/dev/ptmx"), terminals::master("/dev/ptmx")]
            .map(|master| kept(master.expect("opened")));
        let _slave = kept(terminals::slave(&masters[0]));
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        assert!(read.as_raw_fd() != write.as_raw_fd());
        sleep()
    });
    let mut pids = Vec::new();
    for _ in 0..1000 {
        pids = fs::read_to_string(scratch.path.join("cgroup.procs"))
            .expect("readable")
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        if pids.len() == 3 && pids.iter().all(|pid| is_asleep(*pid)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(pids.len(), 3, "programs that run");
    for _ in 0..4 {
        assert_eq!(sys::queue(task.pid, signal), 0);
    }
    let slot = enforcer.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    for _ in 0..2 {
        enforcer.seed(slot).expect("a pass over everything");
        let held = |resource| enforcer.held(slot, resource);
        assert_eq!(held(Resource::NumProc), 4, "programs and a zombie");
        assert_eq!(held(Resource::NumFile), files_of(&pids) as u64);
        let locks = fs::read_to_string("/proc/locks").expect("readable");
        let own = locks.lines().filter(|line| line.contains(&format!(":{inode} "))).count();
        assert_eq!(own, 5, "{locks}");
        assert_eq!(held(Resource::NumFlock), own as u64 + 1, "with the lease:\n{locks}");
        assert_eq!(held(Resource::NumPty), 2);
        // The zombie's end is one more.
        let pending = fs::read_to_string(format!("/proc/{}/status", task.pid)).expect("it lives");
        assert!(pending.contains("SigQ:"));
        assert_eq!(held(Resource::NumSigInfo), 4);
    }
    task.kill();
    fs::remove_file(locked).expect("removable");
    enforcer.clean(&[slot]);
}

#[test]
fn a_container_that_is_found_again_is_charged_for_nothing() {
    let test = "a_container_that_is_found_again_is_charged_for_nothing";
    let Some(enforcer) = shared(test) else { return };
    let (scratch, slot) = enforcer.container(1);
    enforcer.holds_nothing(slot).expect("writable");
    // It has what this process opened, which is not its own.
    let mut task = Task::start(&scratch.path, |port| {
        port.hear();
    });
    let held = |slot| [Resource::NumFile, Resource::NumProc].map(|row| enforcer.held(slot, row));
    let before = held(slot);
    assert!(files_of(&[task.pid]) as u64 > before[0], "files that are not its own");
    // As the next daemon does.
    let again = enforcer.add(scratch.dir.as_fd(), 1, None).expect("it is there");
    enforcer.catch_up(again).expect("a pass over everything");
    assert_eq!((again, held(again)), (slot, before));
    task.say(0);
    task.join();

    // One that nobody knows is looked at, once.
    let unknown = Scratch::new();
    let task = Task::start(&unknown.path, |_| {
        sys::close_all_but_standard();
        for standard in 0..3 {
            sys::replace(&File::open("/dev/null").expect("opened"), standard);
        }
        sleep()
    });
    while !is_asleep(task.pid) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let other = enforcer.add(unknown.dir.as_fd(), 2, None).expect("there is room");
    assert_eq!(held(other), [0, 0]);
    for _ in 0..2 {
        enforcer.catch_up(other).expect("a pass over everything");
        assert_eq!(held(other), [files_of(&[task.pid]) as u64, 1]);
    }
    // Once its account has ended it is looked at again, and nothing counts twice.
    enforcer.remove(other).expect("removable");
    let other = enforcer.add(unknown.dir.as_fd(), 2, None).expect("there is room");
    enforcer.catch_up(other).expect("a pass over everything");
    assert_eq!(held(other), [files_of(&[task.pid]) as u64, 1]);
    task.kill();
    drop(unknown);
    enforcer.clean(&[slot, other]);
}

#[test]
fn a_takeover_charges_no_other_container() {
    let Some(enforcer) = shared("a_takeover_charges_no_other_container") else { return };
    let (scratch, slot) = enforcer.container(1);
    // It has what this process opened, which is not its own.
    let mut task = Task::start(&scratch.path, |port| {
        port.hear();
    });
    let held = || [Resource::NumFile, Resource::NumProc].map(|row| enforcer.held(slot, row));
    let before = held();
    assert!(files_of(&[task.pid]) as u64 > before[0], "files that are not its own");
    let (other_scratch, other) = enforcer.container(2);
    enforcer.seed(other).expect("a pass over everything");
    assert_eq!(held(), before);
    task.say(0);
    task.join();
    drop(other_scratch);
    enforcer.clean(&[slot, other]);
}

/// Not a test: a program with two timers, which deletes one when it is told to.
#[test]
#[ignore = "is started by the next one"]
fn keep_timers() {
    let Some(procs) = std::env::var_os("UBC_TIMERS") else { return };
    fs::write(procs, "0").expect("the cgroup takes us");
    let timers = [sys::timer(libc::SIGRTMIN() + 6, 0), sys::timer(libc::SIGRTMIN() + 6, 0)];
    let told = || std::io::stdin().read_line(&mut String::new()).expect("readable");
    told();
    sys::delete(timers[0]);
    told();
}

#[test]
fn timers_from_before_a_takeover_count_until_they_are_deleted() {
    let test = "timers_from_before_a_takeover_count_until_they_are_deleted";
    let Some(enforcer) = shared(test) else { return };
    let scratch = Scratch::new();
    let mut program = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "seeds::keep_timers", "--ignored"])
        .env("UBC_TIMERS", scratch.path.join("cgroup.procs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let pid = i32::try_from(program.id()).expect("a pid");
    let has = |number| {
        for _ in 0..1000 {
            let timers = fs::read_to_string(format!("/proc/{pid}/timers")).expect("it lives");
            if timers.lines().filter(|line| line.starts_with("ID: ")).count() == number {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{number} timers");
    };
    has(2);
    let slot = enforcer.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    for _ in 0..2 {
        enforcer.seed(slot).expect("a pass over everything");
        assert_eq!(enforcer.held(slot, Resource::NumSigInfo), 2);
    }
    program.stdin.as_mut().expect("piped").write_all(b"\n").expect("it listens");
    has(1);
    enforcer.settles(slot, Resource::NumSigInfo, 1);
    program.kill().expect("killed");
    program.wait().expect("reaped");
    drop(scratch);
    enforcer.clean(&[slot]);
}

#[test]
fn what_comes_and_goes_while_it_is_looked_for_leaves_nothing() {
    let test = "what_comes_and_goes_while_it_is_looked_for_leaves_nothing";
    let Some(enforcer) = shared(test) else { return };
    let (scratch, slot) = enforcer.container(1);
    let start = |_| {
        // Address spaces, tasks, and a signal for each that ends.
        let procs = scratch.path.join("cgroup.procs");
        let line = format!("echo $$ > {}; while :; do (exit 0); done", procs.display());
        Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let programs: Vec<_> = (0..2).map(start).collect();
    let mut looks = 0;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        enforcer.seed(slot).expect("a pass over everything");
        looks += 1;
    }
    println!("looked {looks} times");
    for mut program in programs {
        program.kill().expect("killed");
        program.wait().expect("reaped");
    }
    enforcer.settles(slot, Resource::NumSigInfo, 0);
    drop(scratch);
    enforcer.clean(&[slot]);
}

/// Not a test: a program with many locks of a file, or with some that come and go.
#[test]
#[ignore = "is started by the next one"]
fn keep_locks() {
    let (Some(path), Some(procs)) = (std::env::var_os("UBC_LOCKED"), std::env::var_os("UBC_LOCKS"))
    else {
        return;
    };
    fs::write(procs, "0").expect("the cgroup takes us");
    let file = File::options().read(true).write(true).open(path).expect("it opens");
    if std::env::var_os("UBC_STAYING").is_some() {
        for at in 0..STAYING {
            let at = 10 * i64::try_from(at).expect("small");
            assert_eq!(sys::lock(&file, sys::OFD, F_RDLCK, at, 1), 0);
        }
        loop {
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
    loop {
        // Of kinds that do not exclude each other.
        sys::lock(&file, sys::OFD, F_RDLCK, 5, 1);
        sys::lock(&file, sys::OFD, F_UNLCK, 5, 1);
        sys::flock(&file, libc::LOCK_SH);
        sys::flock(&file, libc::LOCK_UN);
    }
}

/// Locks that stay.
const STAYING: usize = 300;

#[test]
fn locks_that_come_and_go_hide_none_that_stays_and_leave_nothing() {
    let test = "locks_that_come_and_go_hide_none_that_stays_and_leave_nothing";
    let Some(enforcer) = shared(test) else { return };
    let scratch = Scratch::new();
    let locked = tempfile::NamedTempFile::new().expect("a file");
    let inode = format!(":{} ", fs::metadata(locked.path()).expect("it is there").ino());
    let start = |what| {
        Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "seeds::keep_locks", "--ignored"])
            .env("UBC_LOCKED", locked.path())
            .env("UBC_LOCKS", scratch.path.join("cgroup.procs"))
            .env(what, "")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let mut staying = start("UBC_STAYING");
    for _ in 0..1000 {
        let all = fs::read_to_string("/proc/locks").expect("readable");
        if all.lines().filter(|line| line.contains(&inode)).count() == STAYING {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let going = [start("UBC_GOING"), start("UBC_GOING")];
    let slot = enforcer.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let mut looks = 0;
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        enforcer.seed(slot).expect("a pass over everything");
        looks += 1;
        let held = enforcer.held(slot, Resource::NumFlock);
        assert!(held >= STAYING as u64, "{held} locks found in look {looks}");
    }
    println!("looked {looks} times");
    for mut program in going {
        program.kill().expect("killed");
        program.wait().expect("reaped");
    }
    enforcer.settles(slot, Resource::NumFlock, STAYING as u64);
    staying.kill().expect("killed");
    staying.wait().expect("reaped");
    drop(scratch);
    enforcer.clean(&[slot]);
}
