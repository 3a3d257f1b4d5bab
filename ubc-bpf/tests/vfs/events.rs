//! What user space hears of refusals.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ubc_bpf::{Enforcer, Events};
use ubc_core::{Resource, Severity};

use crate::common::Scratch;
use crate::common::shared::{another, shared};
use crate::common::task::Task;
use crate::{locks, sys, terminals};

/// A row, what is refused, and how.
type Case = (Resource, fn() -> i32, i32);

#[test]
fn an_event_names_who_was_refused_what_and_why() {
    let Some(enforcer) = shared("an_event_names_who_was_refused_what_and_why") else { return };
    let mut events = Events::open(&enforcer).expect("the queue opens");
    events.take().expect("readable");
    let (scratch, slot) = enforcer.container(4711);
    let cases: [Case; 5] = [
        (Resource::NumProc, || sys::fork(|| ()).map_or_else(|errno| errno, |_| 0), libc::ENOMEM),
        (
            Resource::NumFile,
            || File::open("/dev/null").map_or_else(|e| e.raw_os_error().unwrap_or(-1), |_| 0),
            libc::ENFILE,
        ),
        (Resource::NumFlock, || sys::flock(&locks::file(), libc::LOCK_EX), libc::ENOLCK),
        (
            Resource::NumPty,
            || terminals::master("/dev/ptmx").map_or_else(|errno| errno, |_| 0),
            libc::ENOMEM,
        ),
        (Resource::NumSigInfo, || sys::queue(sys::own(), libc::SIGRTMIN()), libc::EAGAIN),
    ];
    let mut task = Task::start(&scratch.path, |port| {
        std::fs::write("/proc/self/comm", "a;b\x1b[31m").expect("writable");
        for (_, attempt, _) in &cases {
            port.hear();
            port.say(attempt().into());
        }
        port.hear();
    });
    for (resource, _, errno) in &cases {
        let held = enforcer.held(slot, *resource);
        enforcer.bound(slot, *resource, held, held + 3);
        assert_eq!(task.step(), i64::from(*errno), "{resource}");
        enforcer.bound(slot, *resource, 1 << 20, 1 << 20);
        let seen = events.take().expect("readable");
        assert_eq!(seen.len(), 1, "{resource}: {seen:?}");
        let event = &seen[0];
        assert_eq!((event.ctid, event.resource), (4711, *resource));
        assert_eq!(event.severity, Severity::Hard);
        assert_eq!((event.asked, event.held), (1, held));
        assert_eq!((event.barrier, event.limit), (held, held + 3));
        assert_eq!((event.pid, event.tid), (task.pid.cast_unsigned(), task.pid.cast_unsigned()));
        assert_eq!(event.comm, b"a;b\x1b[31m");
        assert_eq!(
            event.cgroup,
            std::os::unix::fs::MetadataExt::ino(&scratch.dir.metadata().expect("it is there"))
        );
        assert_eq!(event.dropped, 0);
        assert_eq!(enforcer.failcnt(slot, *resource), 1, "{resource}");
    }
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn a_storm_of_refusals_is_told_in_few_events_and_none_is_lost_count_of() {
    let Some(enforcer) =
        shared("a_storm_of_refusals_is_told_in_few_events_and_none_is_lost_count_of")
    else {
        return;
    };
    let mut events = Events::open(&enforcer).expect("the queue opens");
    events.take().expect("readable");
    let (scratch, slot) = enforcer.container(4712);
    let mut task = Task::start(&scratch.path, |port| {
        for times in [3000, 1] {
            port.hear();
            let refused = (0..times).filter(|_| File::open("/dev/null").is_err()).count();
            port.say(i64::try_from(refused).expect("few"));
        }
        port.hear();
    });
    enforcer.room(slot, Resource::NumFile, 0);
    assert_eq!(task.step(), 3000);
    // Where the machine is slow these are more seconds than one.
    let seen = events.take().expect("readable");
    let told = seen.len() as u64 + seen.iter().map(|event| event.dropped).sum::<u64>();
    assert!(seen.len() < 1000, "{} events of 3000", seen.len());
    // The next second has events again.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(task.step(), 1);
    let last = events.take().expect("readable");
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].dropped + told, 3000, "told or counted as dropped");
    assert_eq!(enforcer.failcnt(slot, Resource::NumFile), 3001);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

/// Whose refusals wait; nothing does where the descriptor is not readable.
fn told(events: &mut Events) -> Vec<u64> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&now)).expect("pollable");
    let told: Vec<u64> = events.take().expect("readable").iter().map(|it| it.ctid).collect();
    assert_eq!(ready > 0, !told.is_empty(), "{told:?}");
    told
}

#[test]
fn two_daemons_hear_of_their_own_containers_and_the_next_one_of_what_was_between() {
    let name = "two_daemons_hear_of_their_own_containers_and_the_next_one_of_what_was_between";
    let Some(enforcer) = shared(name) else { return };
    let mut events = Events::open(&enforcer).expect("the queue opens");
    let (one, first) = enforcer.container(4713);
    events.take().expect("readable");
    let two = Scratch::new();
    let start = |path: &std::path::Path| {
        Task::start(path, |port| {
            loop {
                port.hear();
                port.say(i64::from(File::open("/dev/null").is_err()));
            }
        })
    };
    // Before there is another daemon: they would have of it what it has open.
    let mut tasks = [start(&one.path), start(&two.path)];
    let other: Enforcer = another();
    // Opened before there is a container: its queue comes later.
    let mut others = Events::open(&other).expect("there is none yet");
    let second = other.add(two.dir.as_fd(), 4714, None).expect("there is room");
    for slot in [first, second] {
        enforcer.room(slot, Resource::NumFile, 0);
    }
    let mut refused = |at: usize| assert_eq!(tasks[at].step(), 1, "refused");
    refused(0);
    assert_eq!((told(&mut events), told(&mut others)), (vec![4713], vec![]));
    refused(1);
    assert_eq!((told(&mut events), told(&mut others)), (vec![], vec![4714]));
    // It ends, as killed, and its containers live on.
    drop((other, others));
    refused(1);
    refused(0);
    assert_eq!(told(&mut events), [4713]);
    let next = another();
    assert_eq!(next.add(two.dir.as_fd(), 4714, None).expect("it is there"), second);
    let mut nexts = Events::open(&next).expect("the queue opens");
    assert_eq!(told(&mut nexts), [4714]);
    refused(1);
    assert_eq!((told(&mut events), told(&mut nexts)), (vec![], vec![4714]));
    // Whoever adds it last is told, though who was told before lives.
    enforcer.add(two.dir.as_fd(), 4714, None).expect("it is there");
    refused(1);
    assert_eq!((told(&mut events), told(&mut nexts)), (vec![4714], vec![]));
    for slot in [first, second] {
        enforcer.bound(slot, Resource::NumFile, 1 << 20, 1 << 20);
    }
    for task in tasks {
        task.kill();
    }
    enforcer.clean(&[first, second]);
}
