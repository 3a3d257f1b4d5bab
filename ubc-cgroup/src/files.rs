//! Reading and writing small kernel files below a directory handle.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Never leave the directory, never follow a link.
pub(crate) const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// The longest text we take from one kernel file. `memory.stat` is 3 KiB and
/// `cgroup.procs` 8 bytes a process; a longer file is a mistake.
const LONGEST: usize = 16 << 20;

/// A file of a cgroup kept open: each read is one `pread` at offset 0, which is
/// 2 to 10 times cheaper than opening it again.
///
/// For files that are one record to the kernel, as all but lists of processes
/// are: it never returns a part of one while there is room, so a read that
/// leaves room was the last and nobody has to ask for the end.
#[derive(Debug)]
pub(crate) struct KeptFile {
    fd: OwnedFd,
    path: PathBuf,
}

impl KeptFile {
    /// Opens `name` in `dir`; `None` where there is no such file.
    pub(crate) fn open(dir: impl AsFd, at: &Path, name: &str) -> crate::Result<Option<KeptFile>> {
        KeptFile::open_at(dir, at, name, name)
    }

    /// As [`KeptFile::open`], of a file that is `path` from `dir` and `name`
    /// in the directory `at`.
    pub(crate) fn open_at(
        dir: impl AsFd,
        at: &Path,
        path: &str,
        name: &str,
    ) -> crate::Result<Option<KeptFile>> {
        match open(dir, path, OFlags::RDONLY) {
            Ok(fd) => Ok(Some(KeptFile { fd, path: at.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(crate::Error::io("open", at.join(name), error)),
        }
    }

    /// The text now.
    pub(crate) fn read<'b>(&self, buffer: &'b mut Vec<u8>) -> crate::Result<&'b [u8]> {
        read_from_start(&self.fd, buffer, LONGEST, true).map_err(|error| match error {
            // kernfs answers ENODEV once the cgroup is gone.
            Errno::NODEV => {
                crate::Error::Removed { path: self.path.parent().unwrap_or(&self.path).to_owned() }
            }
            error => crate::Error::io("read", &self.path, error),
        })?;
        Ok(buffer)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens `name` beneath `dir` without following any link.
pub(crate) fn open(dir: impl AsFd, name: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(dir, name, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH)
}

/// The whole text of `name` in `dir`.
pub(crate) fn read(dir: impl AsFd, name: &str) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    read_into(open(dir, name, OFlags::RDONLY)?, &mut text)?;
    Ok(text)
}

/// Writes a value in one `write`, which is what kernel files need.
pub(crate) fn write(dir: impl AsFd, name: &str, value: &str) -> io::Result<()> {
    let file = open(dir, name, OFlags::WRONLY | OFlags::TRUNC)?;
    let written = rustix::io::write(&file, value.as_bytes())?;
    if written == value.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Replaces `buffer` by the text of `file` from its start.
pub(crate) fn read_into(file: impl AsFd, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    read_from_start(file, buffer, LONGEST, false)
}

/// As [`read_into`], of a text whose length others choose: `EFBIG` when there
/// are `most` bytes or more.
pub(crate) fn read_bounded(
    file: impl AsFd,
    buffer: &mut Vec<u8>,
    most: usize,
) -> Result<(), Errno> {
    read_from_start(file, buffer, most, false)
}

/// `one_record`: as [`KeptFile`] says.
fn read_from_start(
    file: impl AsFd,
    buffer: &mut Vec<u8>,
    most: usize,
    one_record: bool,
) -> Result<(), Errno> {
    buffer.clear();
    buffer.reserve(4096);
    loop {
        let at = buffer.len();
        if at >= most {
            return Err(Errno::FBIG);
        }
        buffer.reserve(4096);
        let read = match rustix::io::pread(&file, rustix::buffer::spare_capacity(buffer), at as u64)
        {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if read == 0 || (one_record && buffer.len() < buffer.capacity()) {
            return Ok(());
        }
    }
}

/// The whole text of a file of procfs or sysfs by path.
pub(crate) fn read_path(path: &str) -> crate::Result<Vec<u8>> {
    let fail = |operation, error: Errno| crate::Error::io(operation, path, error);
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| fail("open", error))?;
    let mut text = Vec::new();
    read_into(file, &mut text).map_err(|error| fail("read", error))?;
    Ok(text)
}

#[cfg(test)]
mod tests;
