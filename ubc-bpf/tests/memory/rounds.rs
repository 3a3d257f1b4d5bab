//! What a worker does many times, and with many threads.
#![allow(unsafe_code, reason = "raw system calls are what it is for")]

use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

/// Threads that map, change and unmap memory of one address space at once.
pub(crate) struct Storm {
    start: Arc<Barrier>,
    threads: Vec<JoinHandle<i64>>,
}

impl Storm {
    /// Starts them, with all that they need themselves. What they do: -1 use
    /// their address space, -2 copy it, else write to that file.
    pub(crate) fn gather(threads: i64, rounds: i64, what: i64) -> Storm {
        let round = move |number| match what {
            -1 => round(number),
            -2 => fork_round(),
            fd => write_round(fd, number),
        };
        let start = Arc::new(Barrier::new(usize::try_from(threads).expect("few") + 1));
        let thread = |seed| {
            let start = Arc::clone(&start);
            std::thread::spawn(move || {
                round(seed);
                start.wait();
                start.wait();
                (0..rounds).map(|i| round(seed + i)).sum::<i64>()
            })
        };
        let threads = (0..threads).map(thread).collect();
        start.wait();
        Storm { start, threads }
    }

    /// Lets them loose. How many calls were refused.
    pub(crate) fn rage(self) -> i64 {
        self.start.wait();
        self.threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    }
}

fn round(number: i64) -> i64 {
    let pages = usize::try_from(1 + number % 13).expect("small");
    let (rw, none) = (libc::PROT_READ | libc::PROT_WRITE, libc::PROT_NONE);
    let mut flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if number % 3 == 0 {
        flags |= libc::MAP_NORESERVE;
    }
    let prot = if number % 2 == 0 { rw } else { none };
    // SAFETY: memory that only this function knows of.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), pages * 4096, prot, flags, -1, 0);
        if at == libc::MAP_FAILED {
            return 1;
        }
        let mut refused = 0;
        if prot == none && libc::mprotect(at, pages * 4096, rw) != 0 {
            refused += 1;
        }
        let mut size = pages * 4096;
        let larger = libc::mremap(at, size, size * 2, libc::MREMAP_MAYMOVE);
        let at = if larger == libc::MAP_FAILED {
            refused += 1;
            at
        } else {
            size *= 2;
            larger
        };
        libc::munmap(at, size);
        refused
    }
}

/// A child that ends at once.
fn fork_round() -> i64 {
    // SAFETY: the child ends at once.
    unsafe {
        match libc::fork() {
            -1 => 1,
            0 => libc::_exit(0),
            child => {
                libc::waitpid(child, std::ptr::null_mut(), 0);
                0
            }
        }
    }
}

fn write_round(fd: i64, number: i64) -> i64 {
    let fd = i32::try_from(fd).expect("a descriptor");
    let at = (number * 7 % 64) * 4096;
    let page = [1u8; 4096];
    // SAFETY: a descriptor, numbers and our own array.
    unsafe {
        match number % 4 {
            0 => i64::from(libc::fallocate(fd, 0, at, 4096 * (1 + number % 9)) != 0),
            1 => {
                let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                libc::fallocate(fd, hole, at, 4096 * 12);
                0
            }
            2 if number % 40 == 2 => {
                libc::ftruncate(fd, at);
                0
            }
            _ => i64::from(libc::pwrite(fd, page.as_ptr().cast(), page.len(), at) == -1),
        }
    }
}
