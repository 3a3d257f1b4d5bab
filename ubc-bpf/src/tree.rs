//! Cgroups as the kernel numbers them: a directory's inode is the cgroup's id.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fstatfs, open, openat, statat};
use rustix::io::Errno;

use crate::{Error, Result};

/// Deepest nesting followed; the kernel's own default limit is far above
/// what anybody nests.
const DEPTH: usize = 64;

/// The cgroup that all others are in, as far as this process sees.
pub(crate) fn root() -> io::Result<OwnedFd> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut points = mounts.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let point = words.next()?;
        (words.next()? == "cgroup2").then_some(point)
    });
    let none = || io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(points.next().ok_or_else(none)?, flags, Mode::empty())?)
}

/// The id of a cgroup.
pub(crate) fn id(cgroup: BorrowedFd<'_>) -> Result<u64> {
    fstat(cgroup).map(|stat| stat.st_ino).map_err(failed)
}

/// The id of the cgroup that a cgroup is in; `None` for the root.
pub(crate) fn above(cgroup: BorrowedFd<'_>) -> Result<Option<u64>> {
    let parent = enter(cgroup, c"..").map_err(failed)?;
    // Above a mount point is another file system, with numbers of its own.
    let magic = |fd: BorrowedFd<'_>| fstatfs(fd).map(|stat| stat.f_type).map_err(failed);
    if magic(parent.as_fd())? != magic(cgroup)? {
        return Ok(None);
    }
    id(parent.as_fd()).map(Some)
}

/// The ids of all cgroups below one.
pub(crate) fn below(cgroup: BorrowedFd<'_>) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut todo: Vec<(OwnedFd, usize)> = vec![(enter(cgroup, c".").map_err(failed)?, 0)];
    while let Some((dir, depth)) = todo.pop() {
        for entry in Dir::read_from(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
                continue;
            }
            // A cgroup that is removed meanwhile needs no entry.
            match statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => found.push(stat.st_ino),
                Err(Errno::NOENT | Errno::NODEV) => continue,
                Err(errno) => return Err(failed(errno)),
            }
            match enter(dir.as_fd(), name) {
                Ok(child) if depth < DEPTH => todo.push((child, depth + 1)),
                Ok(_) | Err(Errno::NOENT | Errno::NODEV) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
    Ok(found)
}

/// Bytes of kernel memory of a cgroup and all below; `None` if the memory
/// controller is not in it.
pub(crate) fn kernel_memory(cgroup: BorrowedFd<'_>) -> Result<Option<i64>> {
    // The kernel adds up what it knows of all controllers before it shows this.
    read(cgroup, c"cpu.stat")?;
    let Some(text) = read(cgroup, c"memory.stat")? else { return Ok(None) };
    let kernel = text.lines().find_map(|line| line.strip_prefix("kernel "));
    Ok(kernel.and_then(|bytes| bytes.parse().ok()))
}

/// A file of a cgroup, unless it has none of this name.
fn read(cgroup: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(cgroup, name, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    };
    match io::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        // The cgroup is gone.
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
        Err(source) => Err(Error::Io { path: "cgroup".into(), source }),
    }
}

fn enter(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn failed(errno: Errno) -> Error {
    Error::Io { path: "cgroup".into(), source: errno.into() }
}
