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
        let mut start = MaybeUninit::<libc::itimerspec>::zeroed().assume_init();
        start.it_value.tv_nsec = nanoseconds;
        libc::timer_settime(timer, 0, &raw const start, std::ptr::null_mut());
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

/// Whether two descriptors are of one open file.
pub(crate) fn is_same_file(pid: i32, fd: i32, other: i32, theirs: i32) -> bool {
    const KCMP_FILE: i32 = 0;
    // SAFETY: numbers only.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, pid, other, KCMP_FILE, fd, theirs) };
    assert!(answer >= 0, "kcmp: {}", io::Error::last_os_error());
    answer == 0
}

/// For a process that becomes another program: nothing of this one uses them again.
pub(crate) fn close_all_but_standard() {
    // SAFETY: numbers only; the caller uses no descriptor any more.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

pub(crate) fn replace(file: &File, fd: i32) {
    // SAFETY: numbers only; standard descriptors may be replaced.
    assert_eq!(errno(unsafe { libc::dup2(file.as_raw_fd(), fd) }), 0);
}

pub(crate) fn die_with_parent() {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Forks into a cgroup; the child waits to be killed. Its number, or the errno.
pub(crate) fn fork_into(cgroup: &File) -> Result<i32, i32> {
    // libc's constant of that name overflows.
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut arguments = libc::clone_args {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: u64::try_from(cgroup.as_raw_fd()).expect("a descriptor"),
        // SAFETY: zero is a valid value of all other fields.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };
    // SAFETY: the arguments outlive the call; without CLONE_VM it is a fork.
    let answer = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    };
    match answer {
        -1 => Err(errno(-1)),
        0 => loop {
            die_with_parent();
            // SAFETY: takes nothing.
            unsafe { libc::pause() };
        },
        pid => Ok(i32::try_from(pid).expect("a process number")),
    }
}
