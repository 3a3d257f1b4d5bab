//! Being told that memory gets scarce, without asking again and again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::{Error, Host, Result, files};

/// Tell of any half second in which somebody waited 5 ms for memory. Half a
/// second is the shortest the kernel takes; it looks ten times in between, and
/// only while somebody waits.
const TRIGGER: &[u8] = b"some 5000 500000\n";

/// A pressure stall trigger: `POLLPRI` when memory gets scarce, at most twice
/// a second; `POLLERR` once its cgroup is gone.
#[derive(Debug)]
pub struct Pressure(OwnedFd);

impl Pressure {
    /// Of the machine.
    ///
    /// # Errors
    ///
    /// The kernel does not tell of pressure (`psi=0`, ENOENT or EOPNOTSUPP).
    pub fn of_machine() -> Result<Pressure> {
        let path = "/proc/pressure/memory";
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .and_then(armed)
            .map_err(|error| Error::io("set a trigger in", path, error))
    }

    /// Of a cgroup, by its name below the mount.
    ///
    /// # Errors
    ///
    /// As [`Pressure::of_machine`]; no such cgroup.
    pub fn of_cgroup(host: &Host, name: &str) -> Result<Pressure> {
        let path = format!("{name}/memory.pressure");
        files::open(host.root(), &path, OFlags::RDWR | OFlags::NONBLOCK)
            .and_then(armed)
            .map_err(|error| Error::io("set a trigger in", path, error))
    }
}

fn armed(file: OwnedFd) -> Result<Pressure, rustix::io::Errno> {
    rustix::io::write(&file, TRIGGER)?;
    Ok(Pressure(file))
}

impl AsFd for Pressure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
