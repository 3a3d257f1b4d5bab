//! System calls that charge something, in a loop.

use std::ffi::c_int;
use std::io;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, openat};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::net::{AddressFamily, SocketType, socket};

/// How much is mapped.
const MAPPED: usize = 16 * 4096;

/// What a program does all day, and what undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscalls {
    /// numfile.
    OpenClose,
    /// numproc, and what comes with a process.
    ForkExit,
    /// privvmpages.
    MmapMunmap,
    /// numtcpsock, and numfile.
    SocketClose,
    /// numflock.
    FlockPair,
}

impl Syscalls {
    /// All of them.
    pub const ALL: [Syscalls; 5] = [
        Syscalls::OpenClose,
        Syscalls::ForkExit,
        Syscalls::MmapMunmap,
        Syscalls::SocketClose,
        Syscalls::FlockPair,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Syscalls::OpenClose => "open/close",
            Syscalls::ForkExit => "fork/exit",
            Syscalls::MmapMunmap => "mmap/munmap",
            Syscalls::SocketClose => "socket/close",
            Syscalls::FlockPair => "flock pair",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Syscalls> {
        Syscalls::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Does it so many times; how long that took.
    ///
    /// # Errors
    ///
    /// The kernel refused one.
    pub fn run(self, times: u64) -> io::Result<Duration> {
        match self {
            Syscalls::OpenClose => repeat(times, || {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                openat(CWD, c"/dev/null", flags, Mode::empty()).map(drop)
            }),
            Syscalls::ForkExit => repeat(times, fork_exit),
            Syscalls::MmapMunmap => repeat(times, map_unmap),
            Syscalls::SocketClose => {
                repeat(times, || socket(AddressFamily::INET, SocketType::STREAM, None).map(drop))
            }
            Syscalls::FlockPair => {
                let file = memfd_create(c"ubc", MemfdFlags::CLOEXEC)?;
                repeat(times, || {
                    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                    flock(&file, FlockOperation::Unlock)
                })
            }
        }
    }
}

fn repeat<E: Into<io::Error>>(
    times: u64,
    mut once: impl FnMut() -> Result<(), E>,
) -> io::Result<Duration> {
    let started = Instant::now();
    for _ in 0..times {
        once().map_err(E::into)?;
    }
    Ok(started.elapsed())
}

#[expect(unsafe_code, reason = "std starts programs, not bare processes")]
fn fork_exit() -> io::Result<()> {
    // SAFETY: the child calls nothing but _exit, which any child of a process with
    // one thread or many may.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above; nothing of ours is dropped twice, because nothing is.
        0 => unsafe { libc::_exit(0) },
        pid => {
            let mut status: c_int = 0;
            // SAFETY: the status is ours for as long as the call lasts.
            let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            if waited == pid { Ok(()) } else { Err(io::Error::last_os_error()) }
        }
    }
}

#[expect(unsafe_code, reason = "mapping is, though nobody looks at these pages")]
fn map_unmap() -> io::Result<()> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping wherever the kernel likes, that goes before anything
    // refers to it.
    unsafe {
        let at = mmap_anonymous(std::ptr::null_mut(), MAPPED, prot, MapFlags::PRIVATE)?;
        munmap(at, MAPPED)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_leaves_nothing_behind_and_has_a_name() {
        let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = files();
        for one in Syscalls::ALL {
            one.run(3).unwrap();
            assert_eq!(Syscalls::named(one.name()), Some(one));
        }
        assert_eq!(files(), before);
        assert_eq!(Syscalls::named("nothing"), None);
    }
}
