//! A process of a container, held so that its number cannot change meaning.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::error::AttachError;
use crate::text::idmap::outside_of_zero;
use crate::view::Owner;

/// Longest /proc/PID file read whole here.
const MAX_TEXT: u64 = 64 * 1024;

/// A live process of a container, usually its init.
///
/// It is held by a pidfd and by its /proc directory, both opened while the
/// process lived, so that nothing here can end up looking at a stranger who
/// got the same number later.
#[derive(Debug)]
pub struct ContainerProcess {
    pid: u32,
    pidfd: OwnedFd,
    dir: OwnedFd,
}

impl ContainerProcess {
    /// Takes hold of a process by its number in the host's pid namespace.
    ///
    /// # Errors
    ///
    /// [`AttachError::NoProcess`] when no such process lives.
    pub fn open(pid: u32) -> Result<ContainerProcess, AttachError> {
        let no_process = |source: io::Error| AttachError::NoProcess { pid, source };
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| {
            no_process(io::Error::new(io::ErrorKind::InvalidInput, "not a process id"))
        })?;
        let pidfd = rustix::process::pidfd_open(number, PidfdFlags::empty())
            .map_err(|error| no_process(error.into()))?;
        let dir = rustix::fs::open(
            format!("/proc/{pid}"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| no_process(error.into()))?;
        let process = ContainerProcess { pid, pidfd, dir };
        // Alive now means the directory is of the same process as the pidfd.
        process.check_alive()?;
        Ok(process)
    }

    /// Its number on the host.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Becomes readable when the process ends.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// When it started, in ticks since boot: tells it from another process that
    /// gets its number. `None` once it has been waited for.
    pub fn start_time(&self) -> Option<u64> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let stat = rustix::fs::openat(&self.dir, "stat", flags, Mode::empty()).ok()?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(stat), &mut text).ok()?;
        crate::view::start_time(&text)
    }

    /// Whether it still lives (a zombie does not), as far as can be told: one that cannot be
    /// looked at is not given up.
    pub fn is_alive(&self) -> bool {
        self.lives().unwrap_or(true)
    }

    fn lives(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match rustix::event::poll(&mut fds, Some(&now)) {
                Ok(ready) => return Ok(ready == 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check_alive(&self) -> Result<(), AttachError> {
        let source = match self.lives() {
            Ok(true) => return Ok(()),
            Ok(false) => io::Error::new(io::ErrorKind::NotFound, "it has ended"),
            Err(error) => error,
        };
        Err(AttachError::NoProcess { pid: self.pid, source })
    }

    /// One of its namespaces, by its name under /proc/PID/ns.
    pub(crate) fn namespace(&self, name: &str) -> Result<OwnedFd, AttachError> {
        let fd = rustix::fs::openat(
            &self.dir,
            format!("ns/{name}"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| AttachError::NoProcess { pid: self.pid, source: error.into() })?;
        self.check_alive()?;
        Ok(fd)
    }

    /// Who root of the container is on the host.
    pub(crate) fn owner(&self) -> Result<Owner, AttachError> {
        let root_of = |file: &str| {
            self.text(file)
                .map(|text| outside_of_zero(&text).unwrap_or(0))
                .map_err(|source| AttachError::NoProcess { pid: self.pid, source })
        };
        Ok(Owner { uid: root_of("uid_map")?, gid: root_of("gid_map")? })
    }

    fn text(&self, file: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, file, flags, Mode::empty())?;
        let mut text = String::new();
        File::from(file).take(MAX_TEXT).read_to_string(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_not_taken_for_a_live_one() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(matches!(ContainerProcess::open(pid), Err(AttachError::NoProcess { .. })));
        assert!(matches!(ContainerProcess::open(0), Err(AttachError::NoProcess { .. })));
        assert!(matches!(ContainerProcess::open(u32::MAX), Err(AttachError::NoProcess { .. })));
    }

    #[test]
    fn a_zombie_is_not_taken_for_a_live_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = ContainerProcess::open(child.id()).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        let mut fds = [PollFd::new(&process.pidfd, PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        assert!(!process.is_alive());
        assert!(matches!(process.namespace("mnt"), Err(AttachError::NoProcess { .. })));
        child.wait().unwrap();
    }
}
