//! numpty

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::pty::{grantpt, ptsname, unlockpt};
use ubc_core::Resource::NumPty;

use crate::common::shared::shared;
use crate::common::task::Task;

pub(crate) fn master(path: &str) -> Result<File, i32> {
    File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(path)
        .map_err(|error| error.raw_os_error().unwrap_or(-1))
}

pub(crate) fn slave(of: &File) -> File {
    grantpt(of).expect("granted");
    unlockpt(of).expect("unlocked");
    let name = ptsname(of, Vec::new()).expect("named");
    master(name.to_str().expect("a plain name")).expect("the other end opens")
}

#[test]
fn a_pair_counts_until_both_ends_are_closed() {
    let Some(enforcer) = shared("a_pair_counts_until_both_ends_are_closed") else { return };
    let (scratch, slot) = enforcer.container(1);
    enforcer.bound(slot, NumPty, 2, 2);
    let mut task = Task::start(&scratch.path, |port| {
        let first = master("/dev/ptmx").expect("there is room");
        let second = master("/dev/pts/ptmx").or_else(|_| master("/dev/ptmx")).expect("room");
        port.say(i64::from(master("/dev/ptmx").expect_err("the limit")));
        port.hear();
        let other_end = slave(&first);
        drop(first);
        drop(second);
        port.say(0);
        port.hear();
        drop(other_end);
        port.say(0);
        port.hear();
    });
    assert_eq!(task.hear(), libc::ENOMEM.into());
    assert_eq!(enforcer.held(slot, NumPty), 2);
    assert_eq!(enforcer.failcnt(slot, NumPty), 1);
    assert_eq!(task.step(), 0);
    enforcer.settles(slot, NumPty, 1);
    assert_eq!(task.step(), 0);
    enforcer.settles(slot, NumPty, 0);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn an_opening_that_fails_gives_its_reservation_back() {
    let Some(enforcer) = shared("an_opening_that_fails_gives_its_reservation_back") else {
        return;
    };
    let (scratch, slot) = enforcer.container(1);
    let mut task = Task::start(&scratch.path, |port| {
        // No pair is left: the kernel has a limit of its own.
        let file = "/proc/sys/kernel/pty/max";
        let most = std::fs::read_to_string(file).expect("readable");
        std::fs::write(file, "0").expect("writable");
        let refused = (0..20).filter(|_| master("/dev/ptmx").is_err()).count();
        std::fs::write(file, most.trim()).expect("writable");
        port.say(i64::try_from(refused).expect("small"));
        port.hear();
    });
    assert_eq!(task.hear(), 20);
    assert_eq!(enforcer.held(slot, NumPty), 0);
    assert_eq!(enforcer.failcnt(slot, NumPty), 0);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}
