//! Files on a tmpfs, and what a worker does with them.
#![allow(unsafe_code, reason = "raw system calls are what it is for")]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

pub(super) const PAGE: usize = 4096;

/// A tmpfs of the machine's, for whoever writes to it.
pub(super) struct Tmpfs(pub(super) tempfile::TempDir);

impl Tmpfs {
    pub(super) fn new() -> Tmpfs {
        let dir = tempfile::tempdir().expect("a directory");
        mount(dir.path());
        Tmpfs(dir)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

fn mount(at: &Path) {
    rustix::mount::mount("ubc", at, "tmpfs", MountFlags::empty(), None).expect("mounted");
}

pub(super) fn write(path: &Path, pages: usize) {
    fs::write(path, vec![1; pages * PAGE]).expect("written");
}

/// As `write`, at the end of a file.
pub(super) fn append(path: &Path, pages: usize) -> std::io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(&vec![1; pages * PAGE])
}

/// What the kernel says of a file.
pub(super) fn pages(file: &File) -> u64 {
    file.metadata().expect("it is there").blocks() / 8
}

pub(super) fn pages_of_all(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("readable");
    entries.map(|entry| pages(&File::open(entry.expect("one").path()).expect("opened"))).sum()
}

/// What a worker does. A negative errno if that fails.
pub(super) fn act(words: &[&str]) -> i64 {
    match perform(words) {
        Ok(answer) => answer,
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

fn perform(words: &[&str]) -> std::io::Result<i64> {
    let number = |word: &str| word.parse::<u64>().expect("a number");
    let writable =
        |path: &str| OpenOptions::new().write(true).create(true).truncate(false).open(path);
    match *words {
        ["alone"] => {
            // SAFETY: a flag.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
            let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
            rustix::mount::mount_change("/", private)?;
        }
        ["mount", dir] => mount(Path::new(dir)),
        ["unmount", dir] => rustix::mount::unmount(dir, UnmountFlags::empty())?,
        ["write", path, from, pages] => {
            let mut file = writable(path)?;
            file.seek(SeekFrom::Start(number(from) * 4096))?;
            for _ in 0..number(pages) {
                file.write_all(&[1; PAGE])?;
            }
        }
        ["size", path, pages] => writable(path)?.set_len(number(pages) * 4096)?,
        // Has a page, but is no file.
        ["link", path] => std::os::unix::fs::symlink("x".repeat(1000), path)?,
        ["remove", path] => fs::remove_file(path)?,
        // Its descriptor
        ["open", path] => return Ok(File::open(path)?.into_raw_fd().into()),
        ["bustle", dir, me, end] => {
            let mut round = 0;
            while round % 64 != 0 || !Path::new(end).exists() {
                round += 1;
                bustle(Path::new(dir), number(me), round);
            }
            return Ok(round.cast_signed());
        }
        ["fill", dir, files] => {
            (0..number(files)).for_each(|name| write(&Path::new(dir).join(name.to_string()), 1));
        }
        _ => panic!("{words:?}?"),
    }
    Ok(0)
}

/// Makes, writes, cuts and removes files, of which some stay.
fn bustle(dir: &Path, me: u64, round: u64) {
    let random = (round + me * 77).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let path = dir.join(format!("{me}-{}", random % 500));
    match random >> 10 & 7 {
        0..=2 => {
            let _ = fs::remove_file(&path);
        }
        3 => {
            let file = OpenOptions::new().write(true).open(&path);
            let _ = file.and_then(|file| file.set_len((random >> 14 & 3) * 4096));
        }
        4 => {
            let _ = append(&path, 1);
        }
        _ => write(&path, usize::try_from(1 + (random >> 14) % 9).expect("few")),
    }
}
