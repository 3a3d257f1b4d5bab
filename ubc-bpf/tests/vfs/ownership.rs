//! Who pays when things wander.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use ubc_core::Resource::{NumFile, NumProc};

use crate::common::all_given_back;
use crate::common::shared::shared;
use crate::common::task::{Task, send};
use crate::sys;

pub(crate) fn pass(socket: &UnixStream, file: &File) -> Result<usize, rustix::io::Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(socket, &[IoSlice::new(b"f")], &mut control, SendFlags::DONTWAIT)
}

pub(crate) fn receive(socket: &UnixStream) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::DONTWAIT).ok()?;
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    })
}

fn file() -> File {
    File::open("/dev/null").expect("there is room")
}

#[test]
fn a_file_that_was_passed_on_is_paid_by_who_opened_it() {
    let Some(enforcer) = shared("a_file_that_was_passed_on_is_paid_by_who_opened_it") else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    for receiver_lives in [true, false] {
        let (near, far) = UnixStream::pair().expect("a pair");
        let mut sender = Task::start(&first.path, |port| {
            pass(&near, &file()).expect("sent");
            port.say(0);
            port.hear();
        });
        let mut receiver = Task::start(&second.path, |port| {
            port.hear();
            let received = receive(&far);
            port.say(received.is_some().into());
            port.hear();
            drop(received);
            port.say(0);
            port.hear();
        });
        assert_eq!(sender.hear(), 0);
        assert_eq!(enforcer.held(one, NumFile), 1, "in flight");
        sender.say(0);
        sender.join();
        assert_eq!(enforcer.held(one, NumFile), 1, "in flight, and the sender is gone");
        assert_eq!(enforcer.held(one, NumProc), 0);
        if receiver_lives {
            assert_eq!(receiver.step(), 1);
            assert_eq!((enforcer.held(one, NumFile), enforcer.held(two, NumFile)), (1, 0));
            assert_eq!(receiver.step(), 0);
            enforcer.settles(one, NumFile, 0);
            receiver.say(0);
            receiver.join();
        } else {
            // Nobody will ever receive it.
            receiver.kill();
            drop((near, far));
        }
        enforcer.settles(one, NumFile, 0);
    }
    assert_eq!(enforcer.count(two, NumFile).maxheld, 0);
    enforcer.clean(&[one, two]);
}

#[test]
fn a_task_that_moves_takes_itself_and_leaves_its_files() {
    let Some(enforcer) = shared("a_task_that_moves_takes_itself_and_leaves_its_files") else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    let mut task = Task::start(&first.path, |port| {
        let files = [file(), file()];
        // A thread moves with its process.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        port.say(0);
        port.hear();
        drop(files);
        let _later = file();
        port.say(0);
        port.hear();
        drop(stop);
        let _ = thread.join();
        port.say(0);
        port.hear();
    });
    assert_eq!(task.hear(), 0);
    let held = |slot| (enforcer.held(slot, NumProc), enforcer.held(slot, NumFile));
    assert_eq!((held(one), held(two)), ((2, 2), (0, 0)));
    send(task.pid, &second.path);
    assert_eq!((held(one), held(two)), ((0, 2), (2, 0)));
    assert_eq!(task.step(), 0);
    enforcer.settles(one, NumFile, 0);
    assert_eq!((held(one), held(two)), ((0, 0), (2, 1)));
    assert_eq!(task.step(), 0);
    enforcer.settles(two, NumProc, 1);
    send(task.pid, &crate::common::unified());
    assert_eq!((held(one), held(two)), ((0, 0), (0, 1)), "to nobody");
    send(task.pid, &first.path);
    assert_eq!((held(one), held(two)), ((1, 0), (0, 1)), "and back");
    task.say(0);
    task.join();
    enforcer.clean(&[one, two]);
}

#[test]
fn a_child_born_in_another_cgroup_is_paid_there_and_refused_there() {
    let Some(enforcer) = shared("a_child_born_in_another_cgroup_is_paid_there_and_refused_there")
    else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (second, two) = enforcer.container(2);
    enforcer.bound(two, NumProc, 2, 2);
    let target = second.dir.try_clone().expect("duplicated");
    let outside = File::open(crate::common::unified()).expect("it is there");
    let mut task = Task::start(&first.path, |port| {
        let mut children = Vec::new();
        for cgroup in [&target, &target, &target, &outside] {
            port.hear();
            let born = sys::fork_into(cgroup);
            port.say(born.err().unwrap_or(0).into());
            children.extend(born);
        }
        port.hear();
        // The next plain child is one's own again.
        children.extend(sys::fork(|| {
            loop {
                std::thread::park();
            }
        }));
        port.say(0);
        port.hear();
        for child in children {
            sys::kill(child, libc::SIGKILL);
            sys::wait(child);
        }
    });
    let held = || (enforcer.held(one, NumProc), enforcer.held(two, NumProc));
    for (errno, after) in
        [(0, (1, 1)), (0, (1, 2)), (libc::ENOMEM, (1, 2)), (0, (1, 2)), (0, (2, 2))]
    {
        assert_eq!(task.step(), i64::from(errno));
        assert_eq!(held(), after);
    }
    assert_eq!(enforcer.count(two, NumProc).maxheld, 2);
    assert_eq!((enforcer.failcnt(one, NumProc), enforcer.failcnt(two, NumProc)), (0, 1));
    task.say(0);
    task.join();
    enforcer.clean(&[one, two]);
}

#[test]
fn a_zombie_counts_until_it_is_reaped() {
    let Some(enforcer) = shared("a_zombie_counts_until_it_is_reaped") else { return };
    let (scratch, slot) = enforcer.container(1);
    let mut task = Task::start(&scratch.path, |port| {
        let child = sys::fork(|| ()).expect("forked");
        port.say(child.into());
        port.hear();
        sys::wait(child);
        port.say(0);
        port.hear();
    });
    let child = task.hear();
    let state = || fs::read_to_string(format!("/proc/{child}/stat")).expect("not reaped");
    while !state().contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(enforcer.held(slot, NumProc), 2);
    assert_eq!(task.step(), 0);
    assert_eq!(enforcer.held(slot, NumProc), 1);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn a_container_in_a_container_is_charged_to_both_and_fails_where_it_is_refused() {
    let test = "a_container_in_a_container_is_charged_to_both_and_fails_where_it_is_refused";
    let Some(enforcer) = shared(test) else { return };
    let (outer, parent) = enforcer.container(1);
    // One cgroup was there before the inner container, one comes later.
    let inner = outer.path.join("inner");
    fs::create_dir(&inner).expect("a cgroup");
    fs::create_dir(inner.join("before")).expect("a cgroup");
    let dir = File::open(&inner).expect("it is there");
    let child = enforcer.add(dir.as_fd(), 2, Some(parent)).expect("there is room");
    fs::create_dir(inner.join("after")).expect("a cgroup");
    let fails = || (enforcer.failcnt(parent, NumFile), enforcer.failcnt(child, NumFile));
    let held = || (enforcer.held(parent, NumFile), enforcer.held(child, NumFile));
    for (number, below) in ["before", "after", "."].into_iter().enumerate() {
        let mut task = Task::start(&inner.join(below), |port| {
            let mut files = Vec::new();
            loop {
                if port.hear() != 0 {
                    break;
                }
                let open = File::open("/dev/null");
                port.say(
                    open.as_ref().err().and_then(std::io::Error::raw_os_error).unwrap_or(0).into(),
                );
                files.extend(open);
            }
        });
        enforcer.bound(parent, NumFile, 3, 3);
        enforcer.bound(child, NumFile, 2, 2);
        let number = number as u64;
        assert_eq!(enforcer.held(child, NumProc), 1, "{below}");
        assert_eq!((task.step(), task.step()), (0, 0));
        assert_eq!(task.step(), libc::ENFILE.into());
        assert_eq!((held(), fails()), ((2, 2), (number, number + 1)), "{below}");
        enforcer.bound(child, NumFile, 9, 9);
        assert_eq!(task.step(), 0);
        assert_eq!(task.step(), libc::ENFILE.into());
        assert_eq!((held(), fails()), ((3, 3), (number + 1, number + 1)), "{below}");
        task.say(1);
        task.join();
        enforcer.settles(parent, NumFile, 0);
    }
    for below in ["before", "after", "."] {
        fs::remove_dir(inner.join(below).canonicalize().expect("it is there")).expect("empty");
    }
    enforcer.clean(&[child, parent]);
}

#[test]
fn a_place_is_free_only_when_the_last_object_is_gone() {
    let Some(enforcer) = shared("a_place_is_free_only_when_the_last_object_is_gone") else {
        return;
    };
    let (first, one) = enforcer.container(1);
    let (near, far) = UnixStream::pair().expect("a pair");
    let task = Task::start(&first.path, |_| {
        pass(&near, &file()).expect("sent");
    });
    task.join();
    let received = receive(&far).expect("sent before the end");
    enforcer.remove(one).expect("removable");
    drop(first);
    let (_second, two) = enforcer.container(2);
    assert_ne!(two, one, "the place is taken by an open file");
    assert_eq!(enforcer.objects(), 1);
    drop(received);
    all_given_back(&enforcer);
    let (_third, three) = enforcer.container(3);
    assert_eq!(three, one, "the place is free");
    assert_eq!(enforcer.held(three, NumFile), 0);
    enforcer.clean(&[two, three]);
}
