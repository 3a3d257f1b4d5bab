//! What provokes each row.
//!
//! The attempts run in a fork of a process that may have threads: system calls
//! only, nothing is allocated, and what they get they keep until they are killed.

use std::io;
use std::mem::forget;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use ubc_core::Resource;

use crate::Count;
use crate::sys::Answer;

mod memory;
mod net;
mod rules;
mod sending;
mod vfs;

/// A way to use a resource up.
pub(super) struct Probe {
    pub(super) resource: Resource,
    /// How much is allowed beyond what the waiting process holds.
    pub(super) room: u64,
    /// How much one attempt takes; 0 if that is the kernel's business, and a refusal
    /// before the room is passed all that is asked for.
    pub(super) amount: u64,
    pub(super) attempt: fn() -> Answer,
}

/// One for each row that programs can refuse.
pub(super) static ALL: &[Probe] = &[
    Probe { resource: Resource::NumProc, room: 3, amount: 1, attempt: || repeat(fork) },
    Probe { resource: Resource::NumFile, room: 3, amount: 1, attempt: || repeat(open) },
    memory::PRIVVMPAGES,
    memory::SHMPAGES,
    Probe { resource: Resource::NumFlock, room: 3, amount: 1, attempt: || repeat(vfs::lock) },
    Probe { resource: Resource::NumPty, room: 3, amount: 1, attempt: || repeat(vfs::terminal) },
    Probe { resource: Resource::NumSigInfo, room: 3, amount: 1, attempt: || repeat(vfs::signal) },
    net::NUMTCPSOCK,
    net::NUMOTHERSOCK,
    sending::TCPSNDBUF,
    net::TCPRCVBUF,
    net::DGRAMRCVBUF,
    rules::NUMIPTENT,
    memory::KMEMSIZE,
];

/// More than any probe's room.
const TRIES: u32 = 64;

fn repeat(once: fn() -> Result<(), Errno>) -> Answer {
    for allowed in 0..TRIES {
        if let Err(errno) = once() {
            return Answer { allowed, errno: errno.raw_os_error() };
        }
    }
    Answer { allowed: TRIES, errno: 0 }
}

fn keep(fd: OwnedFd) {
    forget(fd);
}

fn open() -> Result<(), Errno> {
    openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(keep)
}

fn fork() -> Result<(), Errno> {
    crate::sys::fork_and_forget()
}

/// Waits for what the kernel gives back a moment after the process ended, until
/// no more than `rest` is held.
pub(super) fn settled(rest: u64, count: impl Fn() -> io::Result<Count>) -> io::Result<Count> {
    let mut seen = count()?;
    for _ in 0..200 {
        if seen.held <= rest {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        seen = count()?;
    }
    Ok(seen)
}
