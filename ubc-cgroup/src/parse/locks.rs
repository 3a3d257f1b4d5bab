//! `/proc/locks` and `/proc/PID/fdinfo/N`.

use super::{lines, number, words};

/// The kinds of lock `/proc/locks` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// `fcntl(F_SETLK)`: belongs to a process.
    Posix,
    /// `flock(2)`: belongs to an open file description.
    Flock,
    /// `fcntl(F_OFD_SETLK)`: belongs to an open file description.
    Ofd,
    /// `fcntl(F_SETLEASE)`.
    Lease,
}

/// One held lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Which kind.
    pub kind: LockKind,
    /// Who made it, in the reader's pid namespace; `None` for OFD locks.
    pub pid: Option<u32>,
}

/// The locks held. Waiting requests (`->`), kinds nobody charges for and
/// lines that make no sense are left out: the file is the kernel's, and one
/// new kind of line must not hide all others.
pub fn locks(text: &[u8]) -> Vec<Lock> {
    lines(text).filter_map(|(_, line)| lock(line)).collect()
}

/// `1: POSIX  ADVISORY  WRITE 723 00:14:16845 0 EOF`
fn lock(line: &[u8]) -> Option<Lock> {
    let mut words = words(line);
    words.next()?.strip_suffix(b":")?;
    let kind = match words.next()? {
        b"POSIX" => LockKind::Posix,
        b"FLOCK" => LockKind::Flock,
        b"OFDLCK" => LockKind::Ofd,
        b"LEASE" => LockKind::Lease,
        _ => return None,
    };
    // ADVISORY or BREAKER, then READ or WRITE, then the pid.
    let pid = match words.nth(2)? {
        b"-1" => None,
        word => Some(u32::try_from(number(word)?).ok()?),
    };
    Some(Lock { kind, pid })
}

/// The `lock:` lines of an fdinfo, each with the bytes that tell two locks
/// apart (all but the running number).
pub fn fdinfo_locks(text: &[u8]) -> Vec<(Lock, &[u8])> {
    lines(text)
        .filter_map(|(_, line)| {
            let line = line.strip_prefix(b"lock:")?.trim_ascii_start();
            let colon = line.iter().position(|&b| b == b':')?;
            Some((lock(line)?, &line[colon..]))
        })
        .collect()
}
