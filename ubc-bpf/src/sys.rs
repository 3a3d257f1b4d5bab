//! A process that tries something in a cgroup. The only module that forks, and
//! that calls the kernel past the crates that make it safe.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// Longest an attempt may take; then it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How often it was allowed before it was refused.
    pub(crate) allowed: u32,
    /// The errno of the refusal; 0 if there was none.
    pub(crate) errno: i32,
}

impl Answer {
    fn encode(self) -> [u8; 8] {
        (u64::from(self.allowed) << 32 | u64::from(self.errno.unsigned_abs())).to_ne_bytes()
    }

    #[allow(clippy::cast_possible_truncation, reason = "the halves of one number")]
    fn decode(bytes: [u8; 8]) -> Answer {
        let both = u64::from_ne_bytes(bytes);
        Answer { allowed: (both >> 32) as u32, errno: (both as u32).cast_signed() }
    }
}

/// Forks, moves the child into a cgroup, calls `ready` with it waiting there,
/// runs `attempt` in it, calls `look` while it still holds what it got, and
/// ends it.
///
/// `attempt` runs in a fork of a process with threads: it may make system calls
/// and nothing else, in particular it must not allocate.
pub(crate) fn attempt<T>(
    procs: &mut File,
    attempt: fn() -> Answer,
    ready: impl FnOnce() -> io::Result<()>,
    look: impl FnOnce() -> T,
) -> io::Result<(Answer, T)> {
    let (go_read, go_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (answer_read, answer_write) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: takes nothing.
    let parent = unsafe { libc::getpid() };
    // SAFETY: the child makes system calls only (`child` and, by contract,
    // `attempt`) and leaves through _exit, so it touches no lock or heap that
    // another thread of the parent may have held at the fork.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => child(parent, &go_read, &answer_write, attempt),
        pid => {
            drop((go_read, answer_write));
            let asked = ask(pid, procs, go_write, answer_read, ready, look);
            // SAFETY: `pid` is our child, which nobody else waits for: it
            // cannot have been reaped and its number given away.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                while libc::waitpid(pid, std::ptr::null_mut(), 0) == -1
                    && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
                {
                }
            }
            asked
        }
    }
}

fn ask<T>(
    pid: i32,
    procs: &mut File,
    go: OwnedFd,
    answer: OwnedFd,
    ready: impl FnOnce() -> io::Result<()>,
    look: impl FnOnce() -> T,
) -> io::Result<(Answer, T)> {
    procs.write_all(pid.to_string().as_bytes())?;
    ready()?;
    File::from(go).write_all(b"g")?;
    let seconds = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&answer, PollFlags::IN)], Some(&limit))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut bytes = [0; 8];
    File::from(answer).read_exact(&mut bytes)?;
    Ok((Answer::decode(bytes), look()))
}

/// The child: waits to be told, tries, answers, and waits to be killed. It has
/// everything its parent has open, and must not keep it open beyond its end.
fn child(parent: i32, go: &OwnedFd, answer: &OwnedFd, attempt: fn() -> Answer) -> ! {
    // SAFETY: numbers only. A parent that died before that sends no signal.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            libc::_exit(1)
        }
    }
    let mut byte = [0];
    let told = rustix::io::read(go, &mut byte);
    if told == Ok(1) {
        let _ = rustix::io::write(answer, &attempt().encode());
        loop {
            // SAFETY: takes nothing; sleeps until the parent kills us.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: ends the process at once, running nothing of the parent's.
    unsafe { libc::_exit(1) }
}

/// A child that lives until this process is killed. For attempts.
pub(crate) fn fork_and_forget() -> Result<(), Errno> {
    // SAFETY: numbers only; the child makes three system calls and sleeps.
    unsafe {
        let parent = libc::getpid();
        match libc::fork() {
            -1 => Err(last_errno()),
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // A parent that died before that sends no signal.
                while libc::getppid() == parent {
                    libc::pause();
                }
                libc::_exit(0)
            }
            _ => Ok(()),
        }
    }
}

/// Queues a real-time signal to this process, which never takes it. For attempts.
pub(crate) fn queue_to_self() -> Result<(), Errno> {
    // SAFETY: `set` is made by sigemptyset before it is read, and all pointers
    // live as long as the calls; blocking a signal concerns this thread alone.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGRTMIN());
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        let value = libc::sigval { sival_ptr: std::ptr::null_mut() };
        match libc::sigqueue(libc::getpid(), libc::SIGRTMIN(), value) {
            -1 => Err(last_errno()),
            _ => Ok(()),
        }
    }
}

/// Maps pages of memory and locks some of them; they stay until the process
/// ends. For attempts.
pub(crate) fn map_and_lock(mapped: u64, locked: u64) -> Result<(), Errno> {
    let page = rustix::param::page_size();
    let bytes = |pages: u64| usize::try_from(pages).map_or(usize::MAX, |n| n.saturating_mul(page));
    // SAFETY: a new mapping at an address of the kernel's choice changes nothing
    // that is there, and only that mapping is locked.
    let failed = unsafe {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let start = libc::mmap(std::ptr::null_mut(), bytes(mapped), access, kind, -1, 0);
        start == libc::MAP_FAILED || libc::mlock(start, bytes(locked)) != 0
    };
    if failed { Err(last_errno()) } else { Ok(()) }
}

/// What a socket holds: bytes received and not read, bytes sent and not taken.
pub(crate) fn socket_memory(socket: BorrowedFd<'_>) -> Result<(u32, u32), Errno> {
    // include/uapi/linux/sock_diag.h: SK_MEMINFO_VARS, RMEM_ALLOC, WMEM_ALLOC
    let mut info = [0u32; 9];
    let mut length: libc::socklen_t = 36;
    // SAFETY: the kernel writes `length` bytes at most, the size of `info`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer == 0 { Ok((info[0], info[2])) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
