//! Passes over the tasks, against containers that hold known things.

mod common;

use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Scratch, any};
use ubc_bpf::{Look, Observer};

#[test]
fn what_a_pass_counts_is_what_there_is() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let scratch = Scratch::new();
    observer.check(&installed, scratch.dir.as_fd()).expect("a pass sees what is there");
}

/// A process in a cgroup that does nothing; it ends with the value.
struct Sleeper(Child);

impl Sleeper {
    fn new(scratch: &Scratch) -> Sleeper {
        let sleeper = Sleeper(Command::new("sleep").arg("1000").spawn().expect("sleep is there"));
        std::fs::write(scratch.path.join("cgroup.procs"), sleeper.0.id().to_string())
            .expect("it can be moved");
        sleeper
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is our child");
    }
}

#[test]
fn a_reader_is_never_given_a_pass_from_before_it_asked() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let (scratch, other) = (Scratch::new(), Scratch::new());
    let slot = installed.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let others = installed.add(other.dir.as_fd(), 2, None).expect("there is room");
    let _stays = Sleeper::new(&other);
    let done = AtomicBool::new(false);
    let tasks = |slot| observer.look(slot, Look::ALL).expect("a pass works").tasks;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Asked for together with the other one, and alone.
                    assert_eq!(tasks(others), Some(1));
                }
            });
        }
        let end = End(&done);
        let mut sleepers = Vec::new();
        for number in 1..=50 {
            sleepers.push(Sleeper::new(&scratch));
            assert_eq!(tasks(slot), Some(number));
        }
        while sleepers.pop().is_some() {
            assert_eq!(tasks(slot), Some(sleepers.len() as u64));
        }
        drop(end);
    });
}

/// Ends the other threads, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_not_asked_for_is_not_said() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let scratch = Scratch::new();
    let slot = installed.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let _one = Sleeper::new(&scratch);
    let sight = observer.look(slot, Look::default()).expect("a pass works");
    assert_eq!((sight.tasks, sight.memory, sight.files), (Some(1), None, None));
    let sight = observer.look(slot, Look { memory: true, files: false }).expect("a pass works");
    assert!(sight.memory.is_some_and(|memory| memory.private_pages > 0) && sight.files.is_none());
}
