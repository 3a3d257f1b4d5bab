//! Real processes in a real cgroup, and their end whatever the test does.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

pub mod counted;
pub mod rows;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ubc_cgroup::{Cgroup, Error, Host, Meters, Schedule, Scheduled, Scheduler};
use ubc_core::{Observation, PerResource, Resource};

/// Says why a test did not run. Past the harness, which hides what passing
/// tests print.
pub fn skip(reason: impl std::fmt::Display) {
    std::io::stderr().write_all(format!("SKIP: {reason}\n").as_bytes()).unwrap();
}

/// A scratch cgroup, killed and removed at the end.
pub struct Container {
    pub host: Host,
    pub name: String,
}

impl Container {
    /// `None`, with the reason printed, where the test cannot run.
    pub fn new() -> Option<Container> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let host = match Host::probe() {
            Ok(host) => host,
            Err(error @ (Error::NotRoot { .. } | Error::NoCgroup2)) => {
                skip(error);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ubc-test-{}-{number}", std::process::id());
        Cgroup::create(&host, &name).unwrap();
        Some(Container { host, name })
    }

    pub fn cgroup(&self) -> Cgroup {
        Cgroup::open(&self.host, &self.name).unwrap()
    }

    /// Makes a cgroup in it that has the controllers too; then this one holds
    /// no processes of its own.
    pub fn inner(&self, name: &str) -> Cgroup {
        Cgroup::create(&self.host, &format!("{}/{name}", self.name)).unwrap()
    }

    /// Whether the hierarchy has a controller; says so where not.
    pub fn has(&self, controller: &str) -> bool {
        let has = self.host.has_controller(controller);
        if !has {
            skip(format!("the {controller} controller is not in cgroup v2 here"));
        }
        has
    }

    /// Makes a cgroup in it as the container itself would: without enabling
    /// controllers, so that both may hold processes.
    pub fn nested(&self, path: &str) -> Cgroup {
        std::fs::create_dir_all(self.cgroup().path().join(path)).unwrap();
        Cgroup::open(&self.host, &format!("{}/{path}", self.name)).unwrap()
    }

    pub fn meters(&self) -> Meters {
        Meters::open(&self.host, self.cgroup()).unwrap()
    }

    /// Starts a Python script in the container, behind `wrapper` (`unshare
    /// -n`). It stands at its beginning; the script calls `stage()` where it is
    /// to be looked at again.
    pub fn python(&self, wrapper: &[&str], script: &str) -> Actor {
        Self::python_in(&self.cgroup(), wrapper, script)
    }

    /// As `python`, in a cgroup of the test's choice.
    pub fn python_in(cgroup: &Cgroup, wrapper: &[&str], script: &str) -> Actor {
        const PRELUDE: &str = "import os, sys, socket, fcntl, time, ctypes, mmap, threading, struct, signal\n\
            def stage(*facts):\n    print('stage', *facts, flush=True)\n    sys.stdin.readline()\nstage()\n";
        let script = format!("{PRELUDE}{script}\nstage()\n");
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read go; exec \"$@\"", "sh"])
            .args(wrapper)
            .args(["python3", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cgroup.add(child.id()).unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut actor = Actor { child, stdin, stdout, facts: Vec::new() };
        actor.next();
        actor
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let cgroup = self.cgroup();
        cgroup.kill().unwrap();
        // Zombies of the test itself keep no cgroup alive, so this works at once.
        cgroup.remove().unwrap();
    }
}

/// A process of the container that goes from stage to stage.
pub struct Actor {
    pub child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// What the script gave to `stage()`.
    pub facts: Vec<String>,
}

impl Actor {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on to its next stage, and waits until it is there.
    pub fn next(&mut self) {
        self.go();
        assert!(self.arrives(), "the script failed");
    }

    /// Lets it go on.
    pub fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }

    /// Waits until it is at its next stage; false when it ended instead.
    pub fn arrives(&mut self) -> bool {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        let arrived = words.next().as_deref() == Some("stage");
        self.facts = words.collect();
        arrived
    }

    /// The first fact, a number.
    pub fn fact(&self) -> f64 {
        self.facts[0].parse().unwrap()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

pub fn held(rows: &PerResource<Observation>, resource: Resource) -> u64 {
    rows[resource].held.unwrap_or_else(|| panic!("{resource} was not measured"))
}

/// Reads before and after the actor's next stage.
pub fn change(meters: &mut Meters, actor: &mut Actor, resource: Resource) -> i64 {
    let before = held(&meters.read().unwrap(), resource);
    actor.next();
    let after = held(&meters.read().unwrap(), resource);
    i64::try_from(after).unwrap() - i64::try_from(before).unwrap()
}

/// A measure for the documentation, past the harness.
pub fn measured(what: impl std::fmt::Display) {
    std::io::stderr().write_all(format!("MEASURED: {what}\n").as_bytes()).unwrap();
}

/// Applies a schedule of which every knob has a file here.
pub fn set(scheduler: &mut Scheduler, schedule: &Schedule) {
    for (knob, said) in scheduler.apply(schedule).unwrap() {
        assert!(!matches!(said, Scheduled::Not(_)), "{knob}: {said}");
    }
}

/// A file of a cgroup, without its last newline.
pub fn read(cgroup: &Cgroup, file: &str) -> String {
    std::fs::read_to_string(cgroup.path().join(file)).unwrap().trim().to_owned()
}

/// Both work at the same time; the ratio of what they did.
pub fn ratio(a: &mut Actor, b: &mut Actor) -> f64 {
    a.go();
    b.go();
    assert!(a.arrives() && b.arrives());
    b.fact() / a.fact()
}

/// Measures until it comes out right, five times at most: others on the
/// machine can spoil a ratio of work, but not make an effect that is not there
/// look right.
pub fn settles(mut measure: impl FnMut() -> Result<(), String>) {
    let mut wrong = Vec::new();
    for _ in 0..5 {
        match measure() {
            Ok(()) => return,
            Err(why) => wrong.push(why),
        }
    }
    panic!("{wrong:?}");
}

/// One condition of [`settles`].
pub fn within(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
