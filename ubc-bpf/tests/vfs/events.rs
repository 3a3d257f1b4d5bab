//! What user space hears of refusals.

use std::fs::File;
use std::time::Duration;

use ubc_bpf::Events;
use ubc_core::{Resource, Severity};

use crate::common::shared::shared;
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
    let told = events.take().expect("readable").len() as u64;
    assert!(told < 1000, "{told} events of 3000");
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
