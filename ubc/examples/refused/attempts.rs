//! How to take one more of each resource, as a container's program would.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;

use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags, fallocate, flock, memfd_create};

/// Anything: it is held by being kept.
pub(crate) trait Held {}
impl<T> Held for T {}

/// More than any sensible limit of a demonstration.
pub(crate) const TRIES: usize = 20_000;

/// Takes one more of something.
pub(crate) type Take = Box<dyn FnMut(usize) -> io::Result<Box<dyn Held>>>;

/// How to take one more of each resource.
pub(crate) fn attempts() -> Vec<(&'static str, io::Result<Take>)> {
    vec![
        ("numfile", Ok(take(|_| File::open("/dev/null")))),
        ("numflock", Ok(take(lock))),
        ("numpty", Ok(take(|_| File::options().read(true).write(true).open("/dev/ptmx")))),
        ("numtcpsock", Ok(take(|_| TcpListener::bind("127.0.0.1:0")))),
        ("numothersock", Ok(take(|_| UnixDatagram::unbound()))),
        ("privvmpages", Ok(take(|_| address_space()))),
        ("shmpages", shared_memory()),
        ("tcpsndbuf", tcp()),
        ("othersockbuf", unix()),
        ("dgramrcvbuf", udp()),
        ("numsiginfo", signals()),
        ("kmemsize", Ok(take(|_| Semaphores::new()))),
        // Last: these stay until the end.
        ("numproc", Ok(take(|_| std::thread::Builder::new().stack_size(65536).spawn(rest)))),
    ]
}

pub(crate) fn take<T: 'static>(mut one: impl FnMut(usize) -> io::Result<T> + 'static) -> Take {
    Box::new(move |index| Ok(Box::new(one(index)?) as Box<dyn Held>))
}

/// A thread that stays until its process ends.
fn rest() {
    loop {
        std::thread::park();
    }
}

fn lock(index: usize) -> io::Result<File> {
    let file = File::create(format!("/tmp/refused-{}-{index}", std::process::id()))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Large enough that malloc(3) maps it, never touched.
fn address_space() -> io::Result<Vec<u8>> {
    let mut space = Vec::new();
    space.try_reserve_exact(1 << 20).map_err(|_| io::Error::from(rustix::io::Errno::NOMEM))?;
    Ok(space)
}

fn shared_memory() -> io::Result<Take> {
    let file = memfd_create("refused", MemfdFlags::CLOEXEC)?;
    Ok(take(move |index| Ok(fallocate(&file, FallocateFlags::empty(), index as u64 * 4096, 4096)?)))
}

/// A connection nobody reads from.
fn tcp() -> io::Result<Take> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut out = TcpStream::connect(listener.local_addr()?)?;
    out.set_nonblocking(true)?;
    let (other, _) = listener.accept()?;
    Ok(take(move |_| {
        let _unread = &other;
        // A part that went is no refusal: what is left tells.
        out.write_all(&[0; 4096])
    }))
}

fn unix() -> io::Result<Take> {
    let (out, other) = UnixDatagram::pair()?;
    out.set_nonblocking(true)?;
    Ok(take(move |_| {
        let _unread = &other;
        out.send(&[0; 1024])
    }))
}

fn udp() -> io::Result<Take> {
    let (out, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    out.connect(other.local_addr()?)?;
    Ok(take(move |_| {
        let _unread = &other;
        out.send(&[0; 1024])
    }))
}

/// Signals that wait, one record each.
#[allow(unsafe_code, reason = "no safe wrapper has sigqueue(3)")]
fn signals() -> io::Result<Take> {
    // SAFETY: the set is a local that sigemptyset initialises; the rest are numbers.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGRTMIN());
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(take(|_| {
        let value = libc::sigval { sival_ptr: std::ptr::null_mut() };
        // SAFETY: numbers only, to ourselves, of a signal that is blocked.
        match unsafe { libc::sigqueue(libc::getpid(), libc::SIGRTMIN(), value) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }))
}

/// A set of semaphores: 16 KiB of the kernel's memory, and nothing else.
struct Semaphores(i32);

#[allow(unsafe_code, reason = "no safe wrapper has semget(2)")]
impl Semaphores {
    fn new() -> io::Result<Semaphores> {
        // SAFETY: numbers only.
        match unsafe { libc::semget(libc::IPC_PRIVATE, 250, 0o600) } {
            -1 => Err(io::Error::last_os_error()),
            id => Ok(Semaphores(id)),
        }
    }
}

#[allow(unsafe_code, reason = "no safe wrapper has semctl(2)")]
impl Drop for Semaphores {
    fn drop(&mut self) {
        // SAFETY: a set of our own, and numbers only.
        unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
    }
}
