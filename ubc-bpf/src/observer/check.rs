//! Whether a pass sees what is there: a process of ours holds known things.

use std::fs::File;
use std::io;
use std::mem::forget;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, openat};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrV4, SocketFlags, SocketType, bind, getsockname, send,
    sendto, socket, socketpair,
};
use rustix::pipe::pipe;

use super::{Files, Look, Memory, Namespace, NamespaceKind, Observer, Sight};
use crate::sys::{self, Answer};
use crate::{Enforcer, Error, Result, Slot};

/// A test that something else on the machine spoiled is made again.
const TRIES: u32 = 3;

/// Pages that the process maps, and of these, locks.
const MAPPED: u64 = 16;
const LOCKED: u64 = 4;
/// A stack may grow meanwhile.
const STACK: u64 = 64;

impl Observer {
    /// Compares passes over a process of our own with what it is known to hold,
    /// in `scratch`, an empty cgroup that the caller made and removes. An
    /// observer that sees anything else is not to be believed.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the first difference; the test cannot be made.
    pub fn check(&self, enforcer: &Enforcer, scratch: BorrowedFd<'_>) -> Result<()> {
        let failed = |source: io::Error| Error::Io { path: "self-test".into(), source };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = openat(scratch, c"cgroup.procs", flags, Mode::empty());
        let mut procs = File::from(procs.map_err(|errno| failed(errno.into()))?);
        let mut difference = String::new();
        for at in 1..=TRIES {
            let slot = enforcer.add(scratch, 0, None)?;
            self.wait_until_empty(slot)?;
            let mut before = Err(Error::Refused { mechanism: super::NAME, reason: String::new() });
            let seen = sys::attempt(
                &mut procs,
                hold,
                || {
                    before = self.look(slot, Look::ALL);
                    Ok(())
                },
                || self.look(slot, Look::ALL),
            );
            enforcer.remove(slot)?;
            let (answer, after) = seen.map_err(failed)?;
            match compare(answer, &before?, &after?) {
                Ok(()) => return enforcer.note_passes_proven(),
                Err(told) => {
                    log::debug!("{}: test {at}: {told}", super::NAME);
                    difference = told;
                }
            }
        }
        Err(Error::Refused { mechanism: super::NAME, reason: difference })
    }

    /// Processes of an attempt before this one end a moment after it.
    fn wait_until_empty(&self, slot: Slot) -> Result<()> {
        for _ in 0..200 {
            if self.look(slot, Look::default())?.tasks == Some(0) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// What the process takes. It tells what the kernel says its datagram waiting
/// to be received, and the one waiting to be sent, take.
fn hold() -> Answer {
    try_hold().unwrap_or_default()
}

fn try_hold() -> rustix::io::Result<Answer> {
    sys::fork_and_forget()?;
    let null = || openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let (one, other) = (null()?, null()?);
    forget((rustix::io::dup(&one)?, rustix::io::dup(&one)?));
    forget((one, other, pipe()?));
    forget(openat(CWD, c"/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?);
    let locked = memfd_create(c"ubc", MemfdFlags::CLOEXEC)?;
    flock(&locked, FlockOperation::NonBlockingLockShared)?;
    forget(locked);
    forget(socket(AddressFamily::INET, SocketType::STREAM, None)?);
    let udp = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // Without a loopback interface it receives nothing, and says so.
    let here = bind(&udp, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    if let (Ok(()), Ok(address)) = (here, getsockname(&udp)) {
        let _ = sendto(&udp, b"datagram", SendFlags::DONTWAIT, &address);
    }
    let kind = SocketFlags::empty();
    let (sender, receiver) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, kind, None)?;
    send(&sender, b"datagram", SendFlags::DONTWAIT)?;
    let (to_read, _) = sys::socket_memory(udp.as_fd())?;
    let (_, sent) = sys::socket_memory(sender.as_fd())?;
    forget((udp, sender, receiver));
    sys::map_and_lock(MAPPED, LOCKED)?;
    Ok(Answer { allowed: to_read, errno: sent.cast_signed() })
}

/// The first difference between what was seen and what was taken.
fn compare(answer: Answer, before: &Sight, after: &Sight) -> Result<(), String> {
    let told = |what: &str, seen: u64, truth: u64| {
        if seen == truth { Ok(()) } else { Err(format!("saw {seen} {what}, there are {truth}")) }
    };
    let grown = |of: fn(&Sight) -> Option<u64>| Some(of(after)?.wrapping_sub(of(before)?));
    let files = |of: fn(Files) -> u64| Some(of(after.files?).wrapping_sub(of(before.files?)));
    let memory = |of: fn(Memory) -> u64| Some(of(after.memory?).wrapping_sub(of(before.memory?)));
    let nothing = || "saw nothing".to_owned();
    if answer.errno == 0 {
        return Err("the process could not take what it should".to_owned());
    }
    told("tasks", before.tasks.ok_or_else(nothing)?, 1)?;
    told("new tasks", grown(|s| s.tasks).ok_or_else(nothing)?, 1)?;
    let (received, sent) = (u64::from(answer.allowed), u64::from(answer.errno.unsigned_abs()));
    for (what, seen, truth) in [
        ("new files", files(|f| f.files), 10),
        ("new locked files", files(|f| f.locked_files), 1),
        ("new ptys", files(|f| f.ptys), 1),
        ("new TCP sockets", files(|f| f.tcp_sockets), 1),
        ("new other sockets", files(|f| f.other_sockets), 3),
        ("new bytes received", files(|f| f.other_receive), received),
        ("new bytes sent", files(|f| f.other_send), sent),
        ("new TCP bytes received", files(|f| f.tcp_receive), 0),
        ("new TCP bytes sent", files(|f| f.tcp_send), 0),
        ("new locked pages", memory(|m| m.locked_pages), LOCKED),
    ] {
        told(what, seen.ok_or_else(nothing)?, truth)?;
    }
    if let Some(seen) = &after.surroundings {
        // The processes are where this one is.
        let told = |what: &str, seen: u64, truth: u64| {
            let told = told(what, seen, truth);
            told.map_err(|told| format!("{told}, by the surroundings"))
        };
        told("tasks at home", seen.at_home, 2)?;
        for (kind, path) in [
            (NamespaceKind::Net, "/proc/self/ns/net"),
            (NamespaceKind::Ipc, "/proc/self/ns/ipc"),
            (NamespaceKind::Mnt, "/proc/self/ns/mnt"),
        ] {
            let ours = rustix::fs::stat(path).map_or(0, |stat| stat.st_ino);
            let is_ours = |n: &&Namespace| n.kind == kind && u64::from(n.inode) == ours;
            told(path, seen.namespaces.iter().filter(is_ours).count() as u64, 1)?;
        }
        told("users", seen.users.len() as u64, 1)?;
    }
    let private = memory(|m| m.private_pages).ok_or_else(nothing)?;
    // Its child has a copy of what there was.
    let truth = before.memory.map_or(0, |memory| memory.private_pages) + MAPPED;
    if (truth..=truth + STACK).contains(&private) {
        return Ok(());
    }
    told("new private pages", private, truth)
}
