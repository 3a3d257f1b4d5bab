//! One end of a FUSE connection, and the request that was taken from it last.
//!
//! A server that is killed between a request and its answer must leave behind
//! what its successor needs to answer it. From Linux 6.9 on the kernel hands
//! such requests out again (`FUSE_NOTIFY_RESEND`). Before, nothing does: the
//! reader would wait, and not even SIGKILL would end it (`request_wait_answer`).
//! There the request goes from the kernel into a pipe in one step (splice(2)),
//! is looked at through a copy (tee(2)), and leaves the pipe when it has been
//! answered. Whoever holds the pipe can answer instead; an answer that was
//! given already is refused by the kernel, by the request's number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice, tee};

use super::trouble::Trouble;

/// `FUSE_NOTIFY_RESEND` of the kernel's `linux/fuse.h`.
const NOTIFY_RESEND: i32 = 7;

/// `FUSE_INIT`.
const INIT: u32 = 26;

/// `FUSE_HAS_RESEND`, as a bit of the second word of flags.
const HAS_RESEND: u32 = 1 << (39 - 32);

/// One end of a FUSE connection: who holds it can serve the mount.
///
/// As long as any process holds it, readers of the mount wait instead of
/// failing.
#[derive(Debug)]
pub struct Device {
    fuse: OwnedFd,
    /// Where the kernel does not hand out requests again.
    taken: Option<Taken>,
}

/// The pipe that holds the request which is being answered.
#[derive(Debug)]
struct Taken {
    out: OwnedFd,
    into: OwnedFd,
    /// What is looked at; of no use to anybody else.
    copy_out: OwnedFd,
    copy_into: OwnedFd,
}

impl Device {
    /// A new, unconnected device.
    ///
    /// # Errors
    ///
    /// /dev/fuse is missing or may not be opened.
    pub fn open() -> io::Result<Device> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let fuse = rustix::fs::open("/dev/fuse", flags, Mode::empty())?;
        Ok(Device { fuse, taken: None })
    }

    /// The device of a server that is gone, with the pipe it had.
    pub(crate) fn again(fuse: OwnedFd, pipe: Option<(OwnedFd, OwnedFd)>) -> io::Result<Device> {
        let taken = pipe.map(|(out, into)| Taken::over(out, into)).transpose()?;
        Ok(Device { fuse, taken })
    }

    /// Whether the kernel has ended the connection.
    pub(super) fn is_cut(&self) -> bool {
        let mut ready = [PollFd::new(&self.fuse, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = poll(&mut ready, Some(&now));
        told.is_ok() && ready[0].revents().contains(PollFlags::ERR)
    }

    pub(crate) fn raw(&self) -> i32 {
        self.fuse.as_raw_fd()
    }

    /// What a successor needs, by short names.
    pub(crate) fn parts(&self) -> Vec<(&'static str, BorrowedFd<'_>)> {
        let mut parts = vec![(super::DEVICE, self.fuse.as_fd())];
        if let Some(taken) = &self.taken {
            parts.push((super::PIPE_OUT, taken.out.as_fd()));
            parts.push((super::PIPE_INTO, taken.into.as_fd()));
        }
        parts
    }

    /// The first request of a connection, which tells what the kernel can do.
    pub(super) fn first(&mut self, request: &mut [u8]) -> io::Result<usize> {
        let len = loop {
            match rustix::io::read(&self.fuse, &mut *request) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                read => break read?,
            }
        };
        if !has_resend(&request[..len]) {
            let (out, into) = pipe_with(PipeFlags::CLOEXEC)?;
            self.taken = Some(Taken::over(out, into)?);
        }
        Ok(len)
    }

    /// The next request; waits for it.
    pub(super) fn next(&self, request: &mut [u8]) -> Result<usize, Errno> {
        let Some(taken) = &self.taken else {
            return rustix::io::read(&self.fuse, request);
        };
        let most = request.len();
        splice(&self.fuse, None, &taken.into, None, most, SpliceFlags::empty())?;
        taken.look(request)
    }

    /// As [`Device::next`], after something failed or a server ended: the request may be in the
    /// pipe already, and a part of it in the copy, which nobody may take for the next one.
    pub(super) fn taken_or_next(&self, request: &mut [u8]) -> Result<usize, Errno> {
        if let Some(taken) = &self.taken {
            empty(&taken.copy_out)?;
            let len = taken.look(request)?;
            if len > 0 {
                return Ok(len);
            }
        }
        self.next(request)
    }

    /// Says to whoever waits for the answer to a request that there is none (EIO). Nobody
    /// may: he was interrupted, or it was given.
    pub(super) fn refuse(&self, request: &[u8]) {
        // `fuse_in_header`: length, what is asked, and the number of the request.
        let Some(number) = request.get(8..16) else { return };
        let mut answer = [0; 16];
        answer[..4].copy_from_slice(&16_u32.to_ne_bytes());
        answer[4..8].copy_from_slice(&(-Errno::IO.raw_os_error()).to_ne_bytes());
        answer[8..].copy_from_slice(number);
        let mut trouble = Trouble::default();
        loop {
            match rustix::io::write(&self.fuse, &answer) {
                Err(error @ (Errno::NOMEM | Errno::IO | Errno::AGAIN | Errno::NOBUFS)) => {
                    trouble.met(&error);
                }
                // Or it is not waited for (ENOENT), or can be by nobody.
                _ => return,
            }
        }
    }

    /// The request is answered.
    pub(super) fn done(&self) -> io::Result<()> {
        match &self.taken {
            Some(taken) => Ok(empty(&taken.out)?),
            None => Ok(()),
        }
    }

    /// Has the kernel hand out again what the predecessor took and did not answer, where that
    /// is not kept here.
    pub(super) fn resend(&self) -> io::Result<()> {
        if self.taken.is_some() {
            return Ok(());
        }
        let mut header = [0; 16];
        header[..4].copy_from_slice(&16_u32.to_ne_bytes());
        header[4..8].copy_from_slice(&NOTIFY_RESEND.to_ne_bytes());
        match rustix::io::write(&self.fuse, &header) {
            // On an error it is unmounted: nobody waits.
            Ok(_) | Err(Errno::NODEV | Errno::CONNABORTED | Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Taken {
    fn over(out: OwnedFd, into: OwnedFd) -> io::Result<Taken> {
        let (copy_out, copy_into) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Taken { out, into, copy_out, copy_into })
    }

    /// What is in the pipe, which stays there; nothing: 0.
    fn look(&self, request: &mut [u8]) -> Result<usize, Errno> {
        let flags = SpliceFlags::NONBLOCK;
        let len = match tee(&self.out, &self.copy_into, request.len(), flags) {
            Ok(len) => len,
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut have = 0;
        while have < len {
            match rustix::io::read(&self.copy_out, &mut request[have..len]) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }
}

/// Reads what is in a pipe, and forgets it.
fn empty(pipe: &OwnedFd) -> Result<(), Errno> {
    let mut scrap = [0; super::REQUEST];
    let mut left = rustix::io::ioctl_fionread(pipe)?;
    while left > 0 {
        let read = rustix::io::read(pipe, &mut scrap)? as u64;
        left = left.saturating_sub(read.max(1));
    }
    Ok(())
}

/// Whether the kernel that sent this first request hands requests out again.
/// (`fuse_in_header` has 40 bytes; the version, the read-ahead and two words
/// of flags follow.)
fn has_resend(init: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = init.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    word(4) == Some(INIT) && word(40 + 16).is_some_and(|flags| flags & HAS_RESEND != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_not_answered_is_there_for_whoever_comes_next() {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let taken = Taken::over(out, into).unwrap();
        let mut request = [0; 16];
        assert_eq!(taken.look(&mut request), Ok(0));
        rustix::io::write(&taken.into, b"request").unwrap();
        for _ in 0..3 {
            assert_eq!(taken.look(&mut request), Ok(7));
            assert_eq!(&request[..7], b"request");
        }
        let Taken { out, into, .. } = taken;
        let next = Taken::over(out, into).unwrap();
        assert_eq!(next.look(&mut request), Ok(7));
        for _ in 0..2 {
            empty(&next.out).unwrap();
            assert_eq!(next.look(&mut request), Ok(0));
        }
    }

    #[test]
    fn a_request_that_could_not_be_looked_at_is_not_taken_for_those_after_it() {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let fuse = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let device = Device { fuse, taken: Some(Taken::over(out, into).unwrap()) };
        let taken = device.taken.as_ref().unwrap();
        let mut request = [0; 16];
        rustix::io::write(&taken.into, b"first").unwrap();
        // Copied and not read, wholly or in part.
        tee(&taken.out, &taken.copy_into, 16, SpliceFlags::NONBLOCK).unwrap();
        rustix::io::read(&taken.copy_out, &mut [0; 2]).unwrap();
        assert_eq!(device.taken_or_next(&mut request), Ok(5));
        assert_eq!(&request[..5], b"first");
        device.done().unwrap();
        rustix::io::write(&taken.into, b"second").unwrap();
        assert_eq!(taken.look(&mut request), Ok(6));
        assert_eq!(&request[..6], b"second");
    }

    #[test]
    fn a_kernel_is_not_taken_to_hand_out_requests_again_unless_it_says_so() {
        let mut init = vec![0; 40 + 64];
        init[4..8].copy_from_slice(&INIT.to_ne_bytes());
        assert!(!has_resend(&init));
        init[56..60].copy_from_slice(&HAS_RESEND.to_ne_bytes());
        assert!(has_resend(&init));
        // Before Linux 5.17 the request had one word of flags.
        assert!(!has_resend(&init[..56]));
        init[4..8].copy_from_slice(&1_u32.to_ne_bytes());
        assert!(!has_resend(&init));
        assert!(!has_resend(&[]));
    }
}
