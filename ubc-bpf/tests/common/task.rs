//! Processes in a cgroup that do as they are told, step by step.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

/// Longest a step may take, on the slowest machine.
const PATIENCE: i64 = 120;

/// The other side's mouth and ear.
pub(crate) struct Port {
    from: File,
    to: File,
}

impl Port {
    fn pair() -> (Port, Port) {
        let (left_from, right_to) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let (right_from, left_to) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let port = |from: OwnedFd, to: OwnedFd| Port { from: from.into(), to: to.into() };
        (port(left_from, left_to), port(right_from, right_to))
    }

    pub(crate) fn say(&mut self, number: i64) {
        self.to.write_all(&number.to_ne_bytes()).expect("the other side lives");
    }

    /// Whether the other side has said something.
    pub(crate) fn is_called(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.from.as_fd(), PollFlags::IN)], Some(&now)) == Ok(1)
    }

    /// Waits for the other side's word.
    pub(crate) fn hear(&mut self) -> i64 {
        let limit = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.from.as_fd(), PollFlags::IN)], Some(&limit));
        assert_eq!(ready, Ok(1), "the other side says nothing");
        let mut bytes = [0; 8];
        self.from.read_exact(&mut bytes).expect("the other side lives");
        i64::from_ne_bytes(bytes)
    }
}

/// A process of a test.
pub(crate) struct Task {
    pub(crate) pid: i32,
    port: Port,
    reaped: bool,
}

impl Task {
    /// Forks a process that enters the cgroup and does `work`; it ends when that
    /// returns. Everything of the test's own process that it has open was
    /// opened outside and is charged to nobody.
    pub(crate) fn start(cgroup: &Path, work: impl FnOnce(&mut Port)) -> Task {
        let (ours, mut theirs) = Port::pair();
        // SAFETY: the tests run one by one in one thread (a second one waits for
        // it and holds no lock), so the child may allocate and panic like any.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                drop(ours);
                let done = catch_unwind(AssertUnwindSafe(|| {
                    // SAFETY: numbers only.
                    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                    enter(cgroup);
                    theirs.say(0);
                    work(&mut theirs);
                }));
                // SAFETY: ends the process at once: its test is not its own.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            pid => {
                drop(theirs);
                let mut task = Task { pid, port: ours, reaped: false };
                assert_eq!(task.hear(), 0, "it is in its cgroup");
                task
            }
        }
    }

    pub(crate) fn say(&mut self, number: i64) {
        self.port.say(number);
    }

    pub(crate) fn hear(&mut self) -> i64 {
        self.port.hear()
    }

    /// Lets it do the next step and returns what it says after it.
    pub(crate) fn step(&mut self) -> i64 {
        self.say(0);
        self.hear()
    }

    /// Waits for its end; the status that wait(2) gives.
    pub(crate) fn ended(mut self) -> i32 {
        self.reap()
    }

    /// Lets it end by itself.
    pub(crate) fn join(mut self) {
        assert_eq!(self.reap(), 0, "the exit status of a test's process");
    }

    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // SAFETY: our child, not reaped, so the number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        self.reap();
    }

    fn reap(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: `status` outlives the call; the child is ours and not reaped.
        while unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == -1 {
            assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
        }
        self.reaped = true;
        status
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.reaped {
            self.end();
        }
    }
}

/// Moves this process into a cgroup.
pub(crate) fn enter(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), "0").expect("the cgroup takes processes");
}

/// Moves another one.
pub(crate) fn send(pid: i32, cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string()).expect("the cgroup takes processes");
}
