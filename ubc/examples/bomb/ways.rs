//! Ways to take one more of something, of which some can be given back.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ptr;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MlockAllFlags, ProtFlags, mlockall, mmap_anonymous, munmap};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::attempts::{Take, take};

pub(crate) const PAGE: usize = 4096;

/// In so many pages memory is taken, as long as they fit: fast, and up to the last one.
const PIECES: [usize; 3] = [256, 16, 1];

/// Connections that nobody accepts: of the first few one end waits in the
/// listener's queue, the others never hear an answer.
pub(crate) fn half_open() -> io::Result<Take> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
    // As few in the queue as there can be.
    rustix::net::listen(&listener, 0)?;
    Ok(take(move |_| {
        let _unheard = &listener;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }))
}

/// Shared memory without a name.
pub(crate) fn memfd() -> Take {
    take(|_| largest(shared))
}

/// Files in a file system of memory, whose names are gone.
pub(crate) fn tmpfs() -> Take {
    take(|index| {
        let path = format!("/dev/shm/bomb-{}-{index}", std::process::id());
        let file = File::create(&path)?;
        std::fs::remove_file(&path)?;
        largest(|pages| Ok(fallocate(&file, FallocateFlags::empty(), 0, (pages * PAGE) as u64)?))?;
        Ok(file)
    })
}

/// Address space that nobody touches.
pub(crate) fn mmap() -> Take {
    take(|_| largest(Map::new))
}

/// The same, all of which is locked and so touched, and never given back.
pub(crate) fn mlock() -> io::Result<Take> {
    // What comes from now on; what is there may be more than RLIMIT_MEMLOCK already.
    mlockall(MlockAllFlags::FUTURE)?;
    Ok(take(|_| largest(Map::new).map(std::mem::forget)))
}

pub(crate) fn shared(pages: usize) -> io::Result<File> {
    let file = memfd_create("bomb", MemfdFlags::CLOEXEC)?;
    fallocate(&file, FallocateFlags::empty(), 0, (pages * PAGE) as u64)?;
    Ok(file.into())
}

/// The largest piece there is.
fn largest<T>(mut piece: impl FnMut(usize) -> io::Result<T>) -> io::Result<T> {
    let mut pieces = PIECES.into_iter();
    loop {
        match (pieces.next().map(&mut piece), pieces.len()) {
            (Some(Err(_)), 1..) => {}
            (Some(last), _) => return last,
            (None, _) => return Err(Errno::NOMEM.into()),
        }
    }
}

struct Map {
    at: *mut c_void,
    length: usize,
}

impl Map {
    #[allow(unsafe_code, reason = "no safe wrapper has mmap(2)")]
    fn new(pages: usize) -> io::Result<Map> {
        let length = pages * PAGE;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: at a place of the kernel's choice, where nothing is.
        let at = unsafe { mmap_anonymous(ptr::null_mut(), length, protection, flags) }?;
        Ok(Map { at, length })
    }
}

impl Drop for Map {
    #[allow(unsafe_code, reason = "no safe wrapper has munmap(2)")]
    fn drop(&mut self) {
        // SAFETY: ours, and nothing refers to it.
        let _ = unsafe { munmap(self.at, self.length) };
    }
}
