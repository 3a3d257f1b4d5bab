//! The thread that asks: what the server's own procfs says of it.
//!
//! A thread waits while its request is answered, so its number, which FUSE
//! hands over as the server's pid namespace has it, means that thread. Nothing
//! here decides which container is shown: that is known from the mount.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};

use super::status::{Status, start_time};

/// Longest file read here. Of a status only one with thousands of groups is
/// longer, and that is then nobody's.
const MAX_TEXT: u64 = 64 * 1024;

/// How often a thread that has sent its request and does not sleep yet is
/// looked at again: at once a few times, then after pauses that double, 4 ms in
/// all.
const LOOKS: u32 = 16;
const LOOKS_AT_ONCE: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_micros(4);

/// The system calls that read a link: of this machine's programs and of the
/// 32-bit ones it runs (`unistd.h`, `unistd_32.h` of the kernel). The numbers
/// of the latter mean, to the former, nothing that tells a link's text from
/// what it leads to.
#[cfg(target_arch = "x86_64")]
const READ_LINK: [i64; 4] = [libc::SYS_readlink, libc::SYS_readlinkat, 85, 305];
#[cfg(target_arch = "aarch64")]
const READ_LINK: [i64; 3] = [libc::SYS_readlinkat, 85, 332];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const READ_LINK: [libc::c_long; 1] = [libc::SYS_readlinkat];

/// The procfs of the server.
#[derive(Debug)]
pub(crate) struct Askers {
    proc: OwnedFd,
    /// The user namespace of the server.
    pub(super) home: Vec<u8>,
}

impl Askers {
    /// Takes hold of /proc.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn open() -> io::Result<Askers> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::openat(CWD, "/proc", flags, Mode::empty())?;
        let home = rustix::fs::readlinkat(&proc, "self/ns/user", Vec::new())?.into_bytes();
        Ok(Askers { proc, home })
    }

    /// The beginning of a file, `most` bytes at the most.
    pub(crate) fn text(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::openat(&self.proc, path, flags, Mode::empty())?);
        let mut text = Vec::new();
        file.take(most).read_to_end(&mut text)?;
        Ok(text)
    }

    fn of(&self, thread: i32, file: &str) -> Option<Vec<u8>> {
        self.text(&format!("{thread}/{file}"), MAX_TEXT).ok()
    }

    /// The name of its program, as the program may have changed it.
    pub(super) fn name(&self, thread: i32) -> Option<Vec<u8>> {
        self.of(thread, "comm")
    }

    /// Who it is.
    pub(super) fn status(&self, thread: i32) -> Option<Status> {
        Status::parse(&self.of(thread, "status")?)
    }

    /// When it, or a process, started.
    pub(super) fn start_time(&self, pid: u32) -> Option<u64> {
        start_time(&self.text(&format!("{pid}/stat"), MAX_TEXT).ok()?)
    }

    /// The name of its user namespace.
    pub(super) fn user_namespace(&self, thread: i32) -> Option<Vec<u8>> {
        let path = format!("{thread}/ns/user");
        Some(rustix::fs::readlinkat(&self.proc, path, Vec::new()).ok()?.into_bytes())
    }

    /// Whether it is in readlink(2), and so wants the text of a link and not
    /// what the link leads to. `None` where the kernel does not tell.
    pub(super) fn reads_link(&self, thread: i32) -> Option<bool> {
        for look in 0..LOOKS {
            let text = self.of(thread, "syscall")?;
            match system_call(&text) {
                Some(number) => return Some(READ_LINK.contains(&number)),
                // It has sent the request and is about to sleep.
                None if look < LOOKS_AT_ONCE => std::thread::yield_now(),
                None => std::thread::sleep(FIRST_PAUSE * 2_u32.pow(look - LOOKS_AT_ONCE)),
            }
        }
        None
    }
}

/// The number at the beginning of `/proc/PID/syscall`; `None` while it runs.
fn system_call(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_is_in_no_system_call() {
        assert_eq!(system_call(b"running\n"), None);
        assert_eq!(system_call(b""), None);
        assert_eq!(system_call(b"-1 0x7ffc 0x7f\n"), Some(-1));
        assert_eq!(system_call(b"267 0xffffff9c 0x55 0x55 0x7f 0x0 0x0 0x7ffc 0x7f\n"), Some(267));
    }

    #[test]
    fn a_thread_that_ended_is_nobody() {
        let askers = Askers::open().unwrap();
        assert!(askers.status(i32::MAX).is_none());
        assert!(askers.reads_link(i32::MAX).is_none());
        assert!(askers.name(0).is_none());
        assert!(askers.user_namespace(-1).is_none());
    }

    #[test]
    fn a_thread_that_waits_elsewhere_reads_no_link() {
        let askers = Askers::open().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().try_into().unwrap();
        let read = askers.reads_link(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        // Only where the kernel lets us look.
        assert_ne!(read, Some(true));
    }
}
