//! The descriptors of the container's processes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

use procfs::process::Process;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::{Bounds, Distinct, at, numbers_in, open_directory, read};
use crate::parse::{self, Link, LockKind};
use crate::sys::{self, Descriptor};
use crate::{Error, Result};

/// Major and minor of `/dev/ptmx`, the door to every pseudo-terminal.
const PTMX: (u32, u32) = (5, 2);

/// What protocol a socket speaks, as its file is named by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Other,
}

/// Every descriptor of the container, grouped so that few comparisons tell
/// which of them share an open file description.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    seen: usize,
    hasher: RandomState,
    /// By the hash of the link's text: descriptors with another text have
    /// another file. Two texts with one hash only cost comparisons.
    groups: HashMap<u64, Vec<Descriptor>>,
    /// Socket inodes. A socket has one file, so no comparison is needed.
    pub(crate) sockets: HashMap<u64, Protocol>,
    ptys: Vec<Descriptor>,
    /// Locks that belong to a file, by the hash of what fdinfo says of them.
    locks: HashMap<u64, Vec<Descriptor>>,
}

/// How many open file descriptions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) number: u64,
    /// Whether shared ones were told apart; else descriptors were counted.
    pub(crate) exact: bool,
}

impl Descriptors {
    /// Adds the descriptors of a process. False when the bound is reached.
    pub(super) fn collect(
        &mut self,
        process: &Process,
        fdinfo_locks: bool,
        bounds: &Bounds,
        scratch: &mut Vec<u8>,
    ) -> Result<bool> {
        if self.seen >= bounds.descriptors {
            return Ok(false);
        }
        let directory = open_directory(process, "fd")?;
        for fd in numbers_in(&directory, process, "fd")? {
            if self.seen >= bounds.descriptors {
                return Ok(false);
            }
            self.seen += 1;
            match self.add(process, &directory, fd, fdinfo_locks, scratch) {
                Ok(()) => {}
                Err(error) if super::gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn add(
        &mut self,
        process: &Process,
        directory: &OwnedFd,
        fd: u32,
        fdinfo_locks: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let pid = process.pid.unsigned_abs();
        let name = fd.to_string();
        let descriptor = Descriptor { pid, fd };
        let target = rustix::fs::readlinkat(directory, &name, std::mem::take(scratch))
            .map_err(|error| Error::io("read link", at(pid, &format!("fd/{fd}")), error))?
            .into_bytes();
        let link = parse::link(&target);
        let key = self.hasher.hash_one(&target);
        *scratch = target;
        match link {
            Link::Socket(inode) => {
                self.sockets.entry(inode).or_insert_with(|| protocol(directory, &name));
                return Ok(());
            }
            Link::Path => {
                if is_ptmx(directory, &name) {
                    self.ptys.push(descriptor);
                }
                if fdinfo_locks {
                    self.add_locks(process, descriptor, scratch)?;
                }
            }
            Link::Other => {}
        }
        self.groups.entry(key).or_default().push(descriptor);
        Ok(())
    }

    fn add_locks(
        &mut self,
        process: &Process,
        descriptor: Descriptor,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        read(process, &format!("fdinfo/{}", descriptor.fd), scratch)?;
        for (lock, text) in parse::fdinfo_locks(scratch) {
            // Locks of living processes are counted from /proc/locks.
            let of_file = match lock.kind {
                LockKind::Ofd => true,
                LockKind::Flock => lock.pid.is_none_or(|pid| !is_alive(pid)),
                LockKind::Posix | LockKind::Lease => false,
            };
            if of_file {
                let key = self.hasher.hash_one((text, lock.kind));
                self.locks.entry(key).or_default().push(descriptor);
            }
        }
        Ok(())
    }

    /// Open files: sockets included, as in OpenVZ.
    pub(crate) fn files(&self, distinct: &mut Distinct) -> Counted {
        let counted = count(self.groups.values(), distinct);
        Counted { number: counted.number + self.sockets.len() as u64, ..counted }
    }

    /// Masters of pseudo-terminals.
    pub(crate) fn ptys(&self, distinct: &mut Distinct) -> Counted {
        count(std::iter::once(&self.ptys), distinct)
    }

    /// Locks held by files rather than by living processes.
    pub(crate) fn file_locks(&self, distinct: &mut Distinct) -> Counted {
        count(self.locks.values(), distinct)
    }
}

fn count<'a>(
    groups: impl Iterator<Item = &'a Vec<Descriptor>>,
    distinct: &mut Distinct,
) -> Counted {
    let number = groups.map(|group| distinct.count(group, sys::compare_files) as u64).sum();
    Counted { number, exact: !distinct.refused && !distinct.exhausted }
}

/// Asks the kernel for the name of the socket's protocol: sockfs answers it
/// as an extended attribute.
fn protocol(directory: &OwnedFd, name: &str) -> Protocol {
    let Some(socket) = socket(directory, name) else { return Protocol::Other };
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let mut value = [0u8; 32];
    match rustix::fs::getxattr(path, "system.sockprotoname", &mut value) {
        Ok(len) => match value[..len].trim_ascii_end().trim_suffix_nul() {
            b"TCP" | b"TCPv6" | b"MPTCP" | b"MPTCPv6" => Protocol::Tcp,
            _ => Protocol::Other,
        },
        Err(_) => Protocol::Other,
    }
}

/// What is behind a descriptor, held, if it is a socket. The process may have
/// put another file there since its name was read, and the server of a FUSE
/// file system need never answer who asks for an attribute.
fn socket(directory: &OwnedFd, name: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    (device(&file)? == sockfs()?).then_some(file)
}

/// The number of the file system of sockets, which has all of them.
fn sockfs() -> Option<(u32, u32)> {
    static KNOWN: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    let one =
        || socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok();
    *KNOWN.get_or_init(|| device(&one()?))
}

fn device(file: &OwnedFd) -> Option<(u32, u32)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::EMPTY_PATH;
    let stat = rustix::fs::statx(file, "", flags, StatxFlags::empty()).ok()?;
    Some((stat.stx_dev_major, stat.stx_dev_minor))
}

trait TrimNul {
    fn trim_suffix_nul(&self) -> &[u8];
}

impl TrimNul for [u8] {
    fn trim_suffix_nul(&self) -> &[u8] {
        self.strip_suffix(b"\0").unwrap_or(self)
    }
}

/// Whether a descriptor is a pseudo-terminal's master. By device number, not
/// by name: a container may call the node what it likes. `DONT_SYNC` keeps a
/// hostile network or FUSE file system from making us wait.
fn is_ptmx(directory: &OwnedFd, name: &str) -> bool {
    rustix::fs::statx(directory, name, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE).is_ok_and(
        |stat| {
            rustix::fs::FileType::from_raw_mode(u32::from(stat.stx_mode))
                == rustix::fs::FileType::CharacterDevice
                && (stat.stx_rdev_major, stat.stx_rdev_minor) == PTMX
        },
    )
}

fn is_alive(pid: u32) -> bool {
    rustix::fs::access(format!("/proc/{pid}"), rustix::fs::Access::EXISTS) != Err(Errno::NOENT)
}

#[cfg(test)]
mod tests;
