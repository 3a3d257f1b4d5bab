//! Files of `/proc/PID`.

use super::{Malformed, lines, number, words};

/// What the meters need of `/proc/PID/status`. Sizes in KiB; a field the
/// kernel does not print (a zombie has no memory) is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The letter of the state, `Z` for a zombie.
    pub state: u8,
    /// Threads, the dead leader of a living group included.
    pub threads: u64,
    /// Real user id, as the reader's user namespace sees it.
    pub uid: u32,
    /// Address space.
    pub vm_size: u64,
    /// Private writable areas.
    pub vm_data: u64,
    /// Stack.
    pub vm_stk: u64,
    /// Locked in memory.
    pub vm_lck: u64,
    /// Resident.
    pub vm_rss: u64,
    /// Resident shared memory.
    pub rss_shmem: u64,
    /// Resident anonymous memory.
    pub rss_anon: u64,
    /// Swapped out.
    pub vm_swap: u64,
    /// Signals queued for this user in this user namespace.
    pub sigq: u64,
    /// Signals pending for the thread and for the process, as bits.
    pub pending: [u64; 2],
}

/// Reads a status file.
///
/// # Errors
///
/// A field we need whose value is not of its type, or no state at all.
pub fn status(text: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status::default();
    for (line, content) in lines(text) {
        let Some(colon) = content.iter().position(|&b| b == b':') else { continue };
        let (key, rest) = (&content[..colon], &content[colon + 1..]);
        let field = match key {
            b"State" => {
                status.state = words(rest)
                    .next()
                    .and_then(|word| word.first().copied())
                    .ok_or(Malformed::new(line, "expected a state letter"))?;
                continue;
            }
            b"Uid" => {
                status.uid = words(rest)
                    .next()
                    .and_then(number)
                    .and_then(|n| u32::try_from(n).ok())
                    .ok_or(Malformed::new(line, "expected a uid"))?;
                continue;
            }
            b"SigQ" => {
                let used = rest.split(|&b| b == b'/').next().unwrap_or_default();
                status.sigq =
                    number(used.trim_ascii()).ok_or(Malformed::new(line, "expected used/limit"))?;
                continue;
            }
            b"SigPnd" | b"ShdPnd" => {
                status.pending[usize::from(key == b"ShdPnd")] =
                    hex(rest.trim_ascii()).ok_or(Malformed::new(line, "expected a signal mask"))?;
                continue;
            }
            b"Threads" => &mut status.threads,
            b"VmSize" => &mut status.vm_size,
            b"VmData" => &mut status.vm_data,
            b"VmStk" => &mut status.vm_stk,
            b"VmLck" => &mut status.vm_lck,
            b"VmRSS" => &mut status.vm_rss,
            b"RssShmem" => &mut status.rss_shmem,
            b"RssAnon" => &mut status.rss_anon,
            b"VmSwap" => &mut status.vm_swap,
            _ => continue,
        };
        *field =
            words(rest).next().and_then(number).ok_or(Malformed::new(line, "expected a number"))?;
    }
    if status.state == 0 {
        return Err(Malformed::new(1, "no State line"));
    }
    Ok(status)
}

/// Digits only: `from_str_radix` takes a sign too.
fn hex(word: &[u8]) -> Option<u64> {
    if !word.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

/// What the meters need of `/proc/PID/smaps_rollup`, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Resident, each page divided by how many processes map it.
    pub pss: u64,
    /// The anonymous part of it; `None` before Linux 5.4.
    pub pss_anon: Option<u64>,
}

/// Reads a rollup.
///
/// # Errors
///
/// No `Pss` line, or one without a number.
pub fn rollup(text: &[u8]) -> Result<Rollup, Malformed> {
    let (mut pss, mut pss_anon) = (None, None);
    for (line, content) in lines(text) {
        let value = |rest: &[u8]| {
            words(rest).next().and_then(number).ok_or(Malformed::new(line, "expected a number"))
        };
        if let Some(rest) = content.strip_prefix(b"Pss:") {
            pss = Some(value(rest)?);
        } else if let Some(rest) = content.strip_prefix(b"Pss_Anon:") {
            pss_anon = Some(value(rest)?);
        }
    }
    let pss = pss.ok_or(Malformed::new(1, "no Pss line"))?;
    Ok(Rollup { pss, pss_anon })
}

/// What a descriptor's link in `/proc/PID/fd` points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `socket:[N]`, with its inode.
    Socket(u64),
    /// A path: a file, a device, a memfd.
    Path,
    /// A pipe, an eventfd, an epoll and so on.
    Other,
}

/// Reads a link.
pub fn link(target: &[u8]) -> Link {
    let inode = |t: &[u8]| number(t.strip_prefix(b"socket:[")?.strip_suffix(b"]")?);
    match inode(target) {
        Some(inode) => Link::Socket(inode),
        None if target.starts_with(b"/") => Link::Path,
        None => Link::Other,
    }
}
