//! System calls that no crate wraps, as errno or 0.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

pub(crate) const POSIX: i32 = libc::F_SETLK;
pub(crate) const OFD: i32 = libc::F_OFD_SETLK;

/// The errno of a call that answers -1, or 0.
pub(crate) fn errno(answer: i32) -> i32 {
    if answer == -1 { io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 }
}

pub(crate) fn lock(file: &File, command: i32, kind: i32, start: i64, length: i64) -> i32 {
    let lock = libc::flock {
        l_type: i16::try_from(kind).expect("small"),
        l_whence: 0,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    // SAFETY: `lock` outlives the call, which only reads it.
    errno(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) })
}

pub(crate) fn flock(file: &File, operation: i32) -> i32 {
    // SAFETY: numbers only.
    errno(unsafe { libc::flock(file.as_raw_fd(), operation) })
}

pub(crate) fn lease(file: &File, kind: i32) -> i32 {
    // SAFETY: numbers only.
    errno(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) })
}

/// Another open file description of the same file.
pub(crate) fn reopen(file: &File) -> File {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).write(true).open(path).expect("it can be opened again")
}

/// This process.
pub(crate) fn own() -> i32 {
    std::process::id().cast_signed()
}

pub(crate) fn kill(pid: i32, signal: i32) -> i32 {
    // SAFETY: numbers only.
    errno(unsafe { libc::kill(pid, signal) })
}

pub(crate) fn queue(pid: i32, signal: i32) -> i32 {
    let value = libc::sigval { sival_ptr: std::ptr::null_mut() };
    // SAFETY: numbers only; the value is not followed.
    errno(unsafe { libc::sigqueue(pid, signal, value) })
}

/// Lets a signal interrupt what waits.
pub(crate) fn interruptible(signal: i32) {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: `action` is zeroed, a valid value, then its handler is set to a
    // function that does nothing; it outlives the call.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

fn set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: `sigemptyset` makes it a valid value before anything reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

pub(crate) fn block(signals: &[i32]) {
    let set = set(signals);
    // SAFETY: the set outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Takes one pending signal; its number, or 0.
pub(crate) fn take(signals: &[i32]) -> i32 {
    let set = set(signals);
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: all outlive the call.
    let taken = unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const now) };
    taken.max(0)
}

pub(crate) fn ignore(signal: i32) {
    // SAFETY: a number, and a handler that is none.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// A timer that sends `signal` once, at once; 0 nanoseconds: not started.
pub(crate) fn timer(signal: i32, nanoseconds: i64) -> libc::timer_t {
    // SAFETY: zeroed is a valid value of both; the pointers outlive the calls.
    unsafe {
        let mut event = MaybeUninit::<libc::sigevent>::zeroed().assume_init();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut timer = MaybeUninit::<libc::timer_t>::zeroed().assume_init();
        let made = libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer);
        assert_eq!(made, 0, "timer_create: {}", io::Error::last_os_error());
        let mut times = MaybeUninit::<libc::itimerspec>::zeroed().assume_init();
        times.it_value.tv_nsec = nanoseconds;
        libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut());
        timer
    }
}

pub(crate) fn delete(timer: libc::timer_t) {
    // SAFETY: a timer of this process.
    unsafe { libc::timer_delete(timer) };
}

/// Forks a child that does `work` and ends; its number, or the errno.
pub(crate) fn fork(work: impl FnOnce()) -> Result<i32, i32> {
    // SAFETY: the tests' processes have one thread.
    match unsafe { libc::fork() } {
        -1 => Err(errno(-1)),
        0 => {
            work();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(pid),
    }
}

pub(crate) fn wait(pid: i32) {
    // SAFETY: a child of this process.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}
