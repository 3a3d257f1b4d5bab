//! Passes over the tasks, against containers that hold known things.

mod common;

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Scratch, any};
use ubc_bpf::{Look, Observer, Sights};

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
    let sight =
        observer.look(slot, Look { memory: true, ..Look::default() }).expect("a pass works");
    assert!(sight.memory.is_some_and(|memory| memory.private_pages > 0) && sight.files.is_none());
}

#[test]
fn one_pass_over_all_sees_each_container_that_is_expected_and_nobody_else() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let scratches: Vec<_> = (0..5).map(|_| Scratch::new()).collect();
    let slots: Vec<_> = (1..)
        .zip(&scratches)
        .map(|(id, one)| installed.add(one.dir.as_fd(), id, None).expect("there is room"))
        .collect();
    let mut sleepers: Vec<_> = scratches.iter().map(Sleeper::new).collect();
    for slot in &slots {
        observer.expect(*slot);
    }
    observer.forget(slots[4]);
    let started = observer.passes();
    let sights = observer.look_at_all().expect("a pass works");
    let tasks = |sights: &Sights, at: usize| {
        let sight = sights.get(slots[at], Look::ALL)?;
        assert!(sight.files.is_some() && sight.memory.is_some() && sight.surroundings.is_some());
        sight.tasks
    };
    assert_eq!(
        [0, 1, 2, 3, 4].map(|at| tasks(&sights, at)),
        [Some(1), Some(1), Some(1), Some(1), None]
    );
    assert_eq!(observer.passes(), started + 1);
    // What it saw stays what it was; the next one sees what is there then.
    drop(sleepers.remove(0));
    sleepers.push(Sleeper::new(&scratches[1]));
    assert_eq!(tasks(&sights, 0), Some(1));
    let sights = observer.look_at_all().expect("a pass works");
    assert_eq!([0, 1].map(|at| tasks(&sights, at)), [Some(0), Some(2)]);
    // Of one it is to look at less, which says nothing of what was left out.
    observer.look(slots[2], Look::default()).expect("a pass works");
    let sights = observer.look_at_all().expect("a pass works");
    assert_eq!((tasks(&sights, 2), tasks(&sights, 3)), (None, Some(1)));
    assert_eq!(sights.get(slots[2], Look::default()).and_then(|sight| sight.tasks), Some(1));
}

/// Opens files and shares them with a child, twice over: more in all than a
/// pass tells apart for one container.
const SHARES_TOO_MUCH: &str = r"
import os, resource, signal, sys, time
signal.alarm(120)
sys.stdin.readline()
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
made, each = 0, min(most - 100, 17000)
r, w = os.pipe()
while made < 34000:
    made += each
    if os.fork() == 0:
        files = [os.open('/dev/null', os.O_RDONLY) for _ in range(each)]
        if os.fork() == 0:
            os.write(w, b'x')
        time.sleep(1000)
    os.read(r, 1)
print(made, flush=True)
time.sleep(1000)
";

#[test]
fn a_container_with_too_much_to_tell_apart_is_not_said_to_be_counted_and_others_are() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let (scratch, other) = (Scratch::new(), Scratch::new());
    let slot = installed.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let others = installed.add(other.dir.as_fd(), 2, None).expect("there is room");
    let _stays = Sleeper::new(&other);
    let mut command = Command::new("python3");
    command.args(["-c", SHARES_TOO_MUCH]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut sharer = Sleeper(command.spawn().expect("python3 is there"));
    let procs = scratch.path.join("cgroup.procs");
    std::fs::write(procs, sharer.0.id().to_string()).expect("it can be moved");
    drop(sharer.0.stdin.take());
    let mut line = String::new();
    let told = sharer.0.stdout.take().expect("it is piped");
    BufReader::new(told).read_line(&mut line).expect("it can be read");
    let made: u64 = line.trim().parse().expect("it tells how many");
    assert!(made > 1 << 15);
    for _ in 0..2 {
        let sight = observer.look(slot, Look::ALL).expect("a pass works");
        assert_eq!((sight.tasks, sight.files), (Some(5), None));
        let sight = observer.look(others, Look::ALL).expect("a pass works");
        assert!(sight.files.is_some_and(|files| (3..100).contains(&files.files)), "{sight:?}");
    }
}
