//! numflock

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use libc::{ENOLCK, F_RDLCK, F_UNLCK, F_WRLCK};
use ubc_core::Resource::NumFlock;

use crate::common::shared::shared;
use crate::common::task::Task;
use crate::sys::{self, OFD, POSIX};

/// A file that nobody else locks.
pub(crate) fn file() -> File {
    try_file().expect("a file can be made")
}

pub(crate) fn try_file() -> Result<File, i32> {
    let path = PathBuf::from(format!("/tmp/ubc-lock-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| error.raw_os_error().unwrap_or(-1))?;
    std::fs::remove_file(&path).expect("it can be removed");
    Ok(file)
}

/// What is done with a file, the same opened again, and another; then its errno,
/// and what is held and was refused after it.
type Step = (&'static str, fn(&[File]) -> i32, i32, u64, u64);

/// Runs `steps` in one process of a container with room for `room` locks, and
/// compares what is held and refused after each.
fn follow(test: &str, room: u64, steps: &[Step]) {
    let Some(enforcer) = shared(test) else { return };
    let (scratch, slot) = enforcer.container(1);
    enforcer.bound(slot, NumFlock, room, room);
    let mut task = Task::start(&scratch.path, |port| {
        let first = file();
        let again = sys::reopen(&first);
        let files = [first, again, file()];
        for (_, step, ..) in steps {
            port.hear();
            port.say(step(&files).into());
        }
        port.hear();
    });
    for (name, _, errno, held, failcnt) in steps {
        assert_eq!(task.step(), i64::from(*errno), "{test}: {name}: errno");
        let count = enforcer.count(slot, NumFlock);
        assert_eq!(count.held, *held, "{test}: {name}: held");
        assert_eq!(count.failcnt, *failcnt, "{test}: {name}: failcnt");
        assert!(count.maxheld <= room, "{test}: {name}: maxheld {} over {room}", count.maxheld);
    }
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
pub(crate) fn a_lock_broken_in_two_counts_as_two() {
    follow(
        "a_lock_broken_in_two_counts_as_two",
        5,
        &[
            ("lock 0-99", |f| sys::lock(&f[0], POSIX, F_WRLCK, 0, 100), 0, 1, 0),
            ("the same again", |f| sys::lock(&f[0], POSIX, F_WRLCK, 0, 100), 0, 1, 0),
            ("read inside", |f| sys::lock(&f[0], POSIX, F_RDLCK, 40, 10), 0, 3, 0),
            ("unlock inside that", |f| sys::lock(&f[0], POSIX, F_UNLCK, 44, 2), 0, 4, 0),
            ("merge all", |f| sys::lock(&f[0], POSIX, F_WRLCK, 0, 100), 0, 1, 0),
            ("a neighbour merges", |f| sys::lock(&f[0], POSIX, F_WRLCK, 100, 10), 0, 1, 0),
            ("another file", |f| sys::lock(&f[2], POSIX, F_RDLCK, 0, 0), 0, 2, 0),
            ("unlock the end", |f| sys::lock(&f[0], POSIX, F_UNLCK, 90, 0), 0, 2, 0),
            ("unlock nothing", |f| sys::lock(&f[0], POSIX, F_UNLCK, 900, 0), 0, 2, 0),
            ("unlock all", |f| sys::lock(&f[0], POSIX, F_UNLCK, 0, 0), 0, 1, 0),
            ("end", |f| sys::lock(&f[2], POSIX, F_UNLCK, 0, 0), 0, 0, 0),
        ],
    );
}

#[test]
pub(crate) fn at_the_limit_no_lock_is_made_and_every_unlock_works() {
    follow(
        "at_the_limit_no_lock_is_made_and_every_unlock_works",
        2,
        &[
            ("lock", |f| sys::lock(&f[0], POSIX, F_WRLCK, 0, 100), 0, 1, 0),
            ("breaking needs two more", |f| sys::lock(&f[0], POSIX, F_RDLCK, 5, 5), ENOLCK, 1, 1),
            ("unlocking needs one", |f| sys::lock(&f[0], POSIX, F_UNLCK, 50, 10), 0, 2, 1),
            ("full", |f| sys::lock(&f[2], POSIX, F_WRLCK, 0, 0), ENOLCK, 2, 2),
            ("full for OFD", |f| sys::lock(&f[2], OFD, F_WRLCK, 0, 0), ENOLCK, 2, 3),
            ("full for flock", |f| sys::flock(&f[2], libc::LOCK_EX), ENOLCK, 2, 4),
            ("a third part", |f| sys::lock(&f[0], POSIX, F_UNLCK, 10, 1), ENOLCK, 2, 5),
            ("shrink", |f| sys::lock(&f[0], POSIX, F_UNLCK, 0, 10), 0, 2, 5),
            ("unlock one", |f| sys::lock(&f[0], POSIX, F_UNLCK, 60, 0), 0, 1, 5),
            ("unlock all", |f| sys::lock(&f[0], POSIX, F_UNLCK, 0, 0), 0, 0, 5),
        ],
    );
}

#[test]
pub(crate) fn a_lock_of_an_open_file_is_counted_with_flock_and_leases() {
    follow(
        "a_lock_of_an_open_file_is_counted_with_flock_and_leases",
        9,
        &[
            ("OFD", |f| sys::lock(&f[0], OFD, F_RDLCK, 0, 100), 0, 1, 0),
            ("OFD of another opening", |f| sys::lock(&f[1], OFD, F_RDLCK, 0, 100), 0, 2, 0),
            ("OFD broken", |f| sys::lock(&f[1], OFD, F_UNLCK, 5, 5), 0, 3, 0),
            ("flock", |f| sys::flock(&f[0], libc::LOCK_SH), 0, 4, 0),
            ("flock again", |f| sys::flock(&f[0], libc::LOCK_SH), 0, 4, 0),
            ("flock of another opening", |f| sys::flock(&f[1], libc::LOCK_SH), 0, 5, 0),
            (
                "flock upgrade waits for nobody",
                |f| sys::flock(&f[0], libc::LOCK_EX | libc::LOCK_NB),
                libc::EAGAIN,
                4,
                0,
            ),
            ("unflock", |f| sys::flock(&f[1], libc::LOCK_UN), 0, 3, 0),
            ("unlease nothing", |f| sys::lease(&f[2], F_UNLCK), libc::EAGAIN, 3, 0),
            ("lease", |f| sys::lease(&f[2], F_WRLCK), 0, 4, 0),
            ("lease changed", |f| sys::lease(&f[2], F_WRLCK), 0, 4, 0),
            ("unlease", |f| sys::lease(&f[2], F_UNLCK), 0, 3, 0),
        ],
    );
}

#[test]
pub(crate) fn a_barrier_below_the_limit_stops_locks_but_no_unlock() {
    let Some(enforcer) = shared("a_barrier_below_the_limit_stops_locks_but_no_unlock") else {
        return;
    };
    let (scratch, slot) = enforcer.container(1);
    enforcer.bound(slot, NumFlock, 1, 3);
    let mut task = Task::start(&scratch.path, |port| {
        let file = file();
        for (kind, start, length) in [
            (F_WRLCK, 0, 100),
            (F_WRLCK, 200, 1),
            (F_UNLCK, 50, 1),
            (F_UNLCK, 60, 1),
            (F_UNLCK, 70, 1),
        ] {
            port.hear();
            port.say(sys::lock(&file, POSIX, kind, start, length).into());
        }
    });
    let answers: Vec<i64> = (0..5).map(|_| task.step()).collect();
    assert_eq!(answers, [0, ENOLCK.into(), 0, 0, ENOLCK.into()]);
    assert_eq!(enforcer.count(slot, NumFlock).maxheld, 3);
    assert_eq!(enforcer.failcnt(slot, NumFlock), 2);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
pub(crate) fn a_request_that_waits_is_charged_and_one_that_is_interrupted_gives_back() {
    let Some(enforcer) =
        shared("a_request_that_waits_is_charged_and_one_that_is_interrupted_gives_back")
    else {
        return;
    };
    let (scratch, slot) = enforcer.container(1);
    let file = file();
    enforcer.bound(slot, NumFlock, 2, 2);
    for blocking in [
        (|file: &File| sys::flock(file, libc::LOCK_EX)) as fn(&File) -> i32,
        |file| sys::lock(file, libc::F_SETLKW, F_WRLCK, 0, 0),
        |file| sys::lock(file, libc::F_OFD_SETLKW, F_WRLCK, 0, 0),
    ] {
        let open = || sys::reopen(&file);
        let mut holder = Task::start(&scratch.path, |port| {
            let file = open();
            port.say(blocking(&file).into());
            port.hear();
        });
        assert_eq!(holder.hear(), 0);
        assert_eq!(enforcer.held(slot, NumFlock), 1);
        let waiter = || {
            Task::start(&scratch.path, |port| {
                sys::interruptible(libc::SIGUSR1);
                let file = open();
                port.say(1);
                port.say(blocking(&file).into());
                port.hear();
            })
        };
        let mut interrupted = waiter();
        assert_eq!(interrupted.hear(), 1);
        enforcer.settles(slot, NumFlock, 2);
        sys::kill(interrupted.pid, libc::SIGUSR1);
        assert_eq!(interrupted.hear(), libc::EINTR.into());
        assert_eq!(enforcer.held(slot, NumFlock), 1, "an interrupted request");
        let mut killed = waiter();
        assert_eq!(killed.hear(), 1);
        enforcer.settles(slot, NumFlock, 2);
        killed.kill();
        assert_eq!(enforcer.held(slot, NumFlock), 1, "a killed request");
        let mut patient = waiter();
        assert_eq!(patient.hear(), 1);
        enforcer.settles(slot, NumFlock, 2);
        holder.say(0);
        holder.join();
        assert_eq!(patient.hear(), 0, "it gets the lock");
        assert_eq!(enforcer.held(slot, NumFlock), 1);
        for mut task in [interrupted, patient] {
            task.say(0);
            task.join();
        }
        assert_eq!(enforcer.held(slot, NumFlock), 0);
    }
    assert!(file.as_fd().try_clone_to_owned().is_ok());
    enforcer.clean(&[slot]);
}
