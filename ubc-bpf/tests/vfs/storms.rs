//! All of it at once.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ubc_core::Resource;

use crate::common::shared::shared;
use crate::common::storm::{Exposed, Gust, Tally, storm};
use crate::{ownership, sys, terminals};

fn note(tally: &mut Tally, errno: i32, row: Resource, refusal: i32) {
    if errno == refusal {
        tally.refused(row);
    } else {
        assert_eq!(errno, 0, "{row}");
        tally.done();
    }
}

pub(crate) fn forks(tally: &mut Tally) {
    let mut children = Vec::new();
    for _ in 0..4 {
        match sys::fork(|| {}) {
            Ok(pid) => {
                children.push(pid);
                tally.done();
            }
            Err(errno) => note(tally, errno, Resource::NumProc, libc::ENOMEM),
        }
    }
    children.into_iter().for_each(sys::wait);
}

pub(crate) fn opens(tally: &mut Tally) {
    let mut files = Vec::new();
    for _ in 0..6 {
        match File::open("/dev/null") {
            Ok(file) => {
                files.push(file);
                tally.done();
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(-1);
                note(tally, errno, Resource::NumFile, libc::ENFILE);
            }
        }
    }
}

fn pipes(tally: &mut Tally) {
    let mut files = Vec::new();
    for _ in 0..4 {
        match rustix::pipe::pipe() {
            Ok(ends) => {
                files.push(ends);
                tally.done();
            }
            Err(errno) => note(tally, errno.raw_os_error(), Resource::NumFile, libc::ENFILE),
        }
    }
}

pub(crate) fn ptys(tally: &mut Tally) {
    let mut ends = Vec::new();
    for _ in 0..3 {
        match terminals::master("/dev/ptmx") {
            Ok(master) => {
                ends.push(master);
                tally.done();
            }
            Err(libc::ENFILE) => tally.refused(Resource::NumFile),
            Err(errno) => note(tally, errno, Resource::NumPty, libc::ENOMEM),
        }
    }
}

thread_local! {
    static LOCKED: RefCell<Vec<File>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn locks(tally: &mut Tally) {
    LOCKED.with_borrow_mut(|files| {
        while files.len() < 3 {
            match crate::locks::try_file() {
                Ok(file) => files.push(file),
                Err(errno) => return note(tally, errno, Resource::NumFile, libc::ENFILE),
            }
        }
        for (at, file) in files.iter().enumerate() {
            for part in 0..3 {
                let kind = if part == 1 { libc::F_RDLCK } else { libc::F_WRLCK };
                let command = if at == 1 { sys::OFD } else { sys::POSIX };
                let errno = sys::lock(file, command, kind, part, 10);
                note(tally, errno, Resource::NumFlock, libc::ENOLCK);
            }
            let errno = sys::flock(file, libc::LOCK_SH);
            note(tally, errno, Resource::NumFlock, libc::ENOLCK);
        }
        for file in files {
            for command in [sys::OFD, sys::POSIX] {
                let errno = sys::lock(file, command, libc::F_UNLCK, 0, 0);
                assert_eq!(errno, 0, "an unlock that breaks nothing");
            }
            assert_eq!(sys::flock(file, libc::LOCK_UN), 0);
        }
    });
}

fn signals(tally: &mut Tally) {
    let signal = libc::SIGRTMIN() + 5;
    let own = sys::own();
    sys::block(&[signal]);
    for _ in 0..5 {
        note(tally, sys::queue(own, signal), Resource::NumSigInfo, libc::EAGAIN);
    }
    while sys::take(&[signal]) != 0 {}
}

#[test]
pub(crate) fn a_storm_at_the_limits_leaks_nothing_and_counts_every_refusal() {
    let Some(enforcer) = shared("a_storm_at_the_limits_leaks_nothing_and_counts_every_refusal")
    else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    let gusts: [Gust; 9] = [forks, forks, opens, opens, pipes, ptys, ptys, locks, locks];
    for slot in [one, two] {
        // Each process is one, and has two files of locks and one more.
        enforcer.bound(slot, Resource::NumProc, 13, 13);
        enforcer.bound(slot, Resource::NumFile, 24, 24);
        enforcer.bound(slot, Resource::NumPty, 3, 4);
        enforcer.bound(slot, Resource::NumFlock, 9, 11);
    }
    let containers = [
        Exposed { cgroup: &first.path, slot: one, gusts: &gusts },
        Exposed { cgroup: &second.path, slot: two, gusts: &gusts },
    ];
    storm(&enforcer, &containers, Duration::from_secs(5), false, |_| {
        std::thread::sleep(Duration::from_millis(10));
    });
    enforcer.clean(&[one, two]);
}

thread_local! {
    /// Connected to itself across containers: every process inherits both ends.
    static MAIL: RefCell<Option<(UnixStream, UnixStream)>> = const { RefCell::new(None) };
}

/// Sends files to whoever is first, and drops what others sent.
fn passes(tally: &mut Tally) {
    MAIL.with_borrow(|mail| {
        let (near, far) = mail.as_ref().expect("connected before the storm");
        for _ in 0..4 {
            match File::open("/dev/null") {
                Ok(file) => {
                    let _ = ownership::pass(near, &file);
                    tally.done();
                }
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(-1);
                    note(tally, errno, Resource::NumFile, libc::ENFILE);
                }
            }
        }
        for _ in 0..3 {
            drop(ownership::receive(far));
        }
    });
}

/// Threads that come and go.
fn threads(tally: &mut Tally) {
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(std::thread::yield_now)).collect();
    for thread in threads {
        thread.join().expect("it ends");
        tally.done();
    }
}

#[test]
fn a_storm_of_moving_tasks_and_passed_files_leaks_nothing() {
    let Some(enforcer) = shared("a_storm_of_moving_tasks_and_passed_files_leaks_nothing") else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    MAIL.set(Some(UnixStream::pair().expect("a pair")));
    let gusts: [Gust; 7] = [forks, opens, passes, passes, ptys, locks, threads];
    for slot in [one, two] {
        enforcer.bound(slot, Resource::NumFile, 24, 24);
        enforcer.bound(slot, Resource::NumPty, 2, 2);
        enforcer.bound(slot, Resource::NumFlock, 5, 7);
    }
    let containers = [
        Exposed { cgroup: &first.path, slot: one, gusts: &gusts },
        Exposed { cgroup: &second.path, slot: two, gusts: &gusts },
    ];
    let mut round = 0;
    storm(&enforcer, &containers, Duration::from_secs(5), true, |pids| {
        round += 1;
        let pid = pids[round % pids.len()];
        let to = if round / pids.len() % 2 == 0 { &second.path } else { &first.path };
        crate::common::task::send(pid, to);
        std::thread::sleep(Duration::from_millis(3));
    });
    println!("storm: {round} moves");
    MAIL.set(None);
    enforcer.clean(&[one, two]);
}

#[test]
fn a_storm_of_signals_leaks_nothing() {
    let Some(enforcer) = shared("a_storm_of_signals_leaks_nothing") else { return };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    let gusts: [Gust; 3] = [signals, signals, signals];
    for slot in [one, two] {
        enforcer.bound(slot, Resource::NumSigInfo, 7, 7);
    }
    let containers = [
        Exposed { cgroup: &first.path, slot: one, gusts: &gusts },
        Exposed { cgroup: &second.path, slot: two, gusts: &gusts },
    ];
    storm(&enforcer, &containers, Duration::from_secs(4), false, |_| {
        std::thread::sleep(Duration::from_millis(10));
    });
    enforcer.clean(&[one, two]);
}
