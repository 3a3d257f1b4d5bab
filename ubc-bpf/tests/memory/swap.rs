//! Memory that is swapped out.
#![allow(unsafe_code, reason = "raw system calls are what it is for")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::Duration;

use super::tmpfs::{PAGE, pages};

/// Space for memory that is swapped out.
pub(super) struct Swap(tempfile::TempPath);

impl Swap {
    pub(super) fn new() -> Option<Swap> {
        // Not in /tmp, which may be a tmpfs itself.
        let mut file = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
        file.write_all(&vec![0; 32 << 20]).expect("written");
        file.as_file().sync_all().expect("on disk");
        let path = file.into_temp_path();
        let run = |program: &str| {
            let run = std::process::Command::new(program).arg(&path).output();
            run.is_ok_and(|output| output.status.success())
        };
        let there = run("mkswap") && run("swapon");
        there.then_some(Swap(path))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = std::process::Command::new("swapoff").arg(&self.0).status();
    }
}

/// Swaps pages of a file out.
pub(super) fn swap_out(path: &Path, from: usize, to: usize, cgroup: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("opened");
    let all = usize::try_from(pages(&file)).expect("few");
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let null = std::ptr::null_mut();
    // SAFETY: a new mapping that nobody else knows.
    let at = unsafe { libc::mmap(null, all * PAGE, rw, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    assert_ne!(at, libc::MAP_FAILED);
    for page in from..to {
        // SAFETY: within that mapping.
        unsafe { at.cast::<u8>().add(page * PAGE).read_volatile() };
    }
    let before = shared_memory_of(cgroup);
    for _ in 0..1000 {
        // SAFETY: a part of that mapping, of whose contents nothing changes.
        unsafe { libc::madvise(at.add(from * PAGE), (to - from) * PAGE, libc::MADV_PAGEOUT) };
        if shared_memory_of(cgroup) + (to - from) <= before {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} of {before} pages are still in memory", shared_memory_of(cgroup));
}

/// Pages in memory.
fn shared_memory_of(cgroup: &Path) -> usize {
    let text = fs::read_to_string(cgroup.join("memory.stat")).expect("readable");
    let shmem = text.lines().find_map(|line| line.strip_prefix("shmem ")).expect("it is there");
    shmem.parse::<usize>().expect("a number") / PAGE
}
