//! Whoever keeps our descriptors while we are gone, by systemd's protocol: the
//! service manager, or the parent that [`super::supervisor`] is.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use log::debug;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use sd_notify::NotifyState;

use super::packet;
use crate::error::{Failure, Result};
use crate::manager;

/// Tells the daemon that its parent holds for it: the parent's pid.
pub(super) const SUPERVISOR: &str = "UBC_SUPERVISOR";

/// How many descriptors the holder takes; set where there is one.
pub(super) const FDSTORE: &str = "FDSTORE";

/// Longest wait for the holder to say that it has everything.
const SETTLE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Keeps descriptors beyond our end.
pub(super) struct Holder;

impl Holder {
    /// Whether there is one.
    pub(super) fn is_there() -> bool {
        let most = std::env::var(FDSTORE).ok().and_then(|text| text.parse::<u64>().ok());
        most.is_some_and(|most| most > 0) && std::env::var_os(manager::SOCKET).is_some()
    }

    /// Whether it is our parent.
    pub(super) fn is_parent() -> bool {
        std::env::var_os(SUPERVISOR).is_some()
    }

    /// Asks the kernel to tell us when our parent ends. Without a holder nobody
    /// may be left waiting.
    pub(super) fn end_with_parent() -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        let parent = std::env::var(SUPERVISOR).unwrap_or_default();
        let is_there = rustix::process::getppid()
            .is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
        if is_there { Ok(()) } else { Err(io::Error::other("the parent has ended")) }
    }

    /// What a predecessor had it keep.
    pub(super) fn inherited() -> Result<HashMap<String, OwnedFd>> {
        let failed =
            |error: io::Error| Failure::system(format!("cannot take over descriptors: {error}"));
        if Holder::is_parent() {
            let channel = io::stdin();
            return packet::receive_all(channel.as_fd()).map_err(failed);
        }
        let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(|error| failed(error.into()))?;
        let mut all = HashMap::new();
        for (number, name) in sd_notify::listen_fds_with_names().map_err(failed)? {
            // A way from a number to an owned descriptor that the compiler can
            // follow; the number itself is closed.
            let fd = pidfd_getfd(&own, number, PidfdGetfdFlags::empty())
                .map_err(|error| failed(error.into()))?;
            if let Err(error) = nix::unistd::close(number) {
                debug!("descriptor {number}: {error}");
            }
            all.insert(name, fd);
        }
        Ok(all)
    }
}

impl ubc_node::Holder for Holder {
    fn hold(&self, name: &str, fd: BorrowedFd<'_>, ends: bool) -> io::Result<()> {
        let mut message = vec![NotifyState::FdStore, NotifyState::FdName(name)];
        if !ends {
            message.push(NotifyState::Custom("FDPOLL=0"));
        }
        sd_notify::notify_with_fds(&message, &[fd])
    }

    fn settle(&self) -> io::Result<()> {
        let (heard, kept) = pipe_with(PipeFlags::CLOEXEC)?;
        // Messages are taken in their order, and a barrier is closed at once.
        sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[kept.as_fd()])?;
        drop(kept);
        let mut ready = [PollFd::new(&heard, PollFlags::IN)];
        loop {
            match poll(&mut ready, Some(&SETTLE)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn forget(&self, name: &str) {
        let message = [NotifyState::FdStoreRemove, NotifyState::FdName(name)];
        if let Err(error) = sd_notify::notify(&message) {
            debug!("cannot have {name} forgotten: {error}");
        }
    }
}

/// The pid of a process that we started.
pub(super) fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_child(child)
}
