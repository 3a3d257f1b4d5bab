//! A container's cgroup, held by a directory handle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::files::{self, BENEATH};
use crate::{Error, Host, Result, parse};

mod lifecycle;
mod member;
mod name;
mod tree;

pub use name::{CgroupName, InvalidName};

/// A cgroup v2 directory that belongs to one container.
///
/// Everything goes through the directory handle taken at open: a cgroup that
/// is removed and made again under the same name is another one, and is
/// reported as [`Error::Removed`].
#[derive(Debug)]
pub struct Cgroup {
    dir: OwnedFd,
    root: OwnedFd,
    name: CgroupName,
    path: PathBuf,
    /// What `/proc/PID/cgroup` says of its members.
    membership: Vec<u8>,
}

impl Cgroup {
    /// Opens an existing cgroup by its path below the cgroup v2 mount
    /// (`ubc/101`), or by its full path.
    ///
    /// # Errors
    ///
    /// A name no cgroup has, a path on cgroup v1, no such cgroup.
    pub fn open(host: &Host, name: &str) -> Result<Cgroup> {
        let name = host.resolve(name)?;
        let path = host.mount().join(name.as_str());
        let dir = rustix::fs::openat2(
            host.root(),
            name.as_str(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
            BENEATH,
        )
        .map_err(|error| match error {
            Errno::NOSYS => Error::io("openat2 (Linux 5.6 is needed) of", &path, error),
            error => Error::io("open cgroup", &path, error),
        })?;
        Ok(Cgroup {
            dir,
            root: host
                .root()
                .try_clone_to_owned()
                .map_err(|error| Error::io("duplicate", host.mount(), error))?,
            membership: host.membership(&name),
            path,
            name,
        })
    }

    /// The path below the cgroup v2 mount.
    pub fn name(&self) -> &CgroupName {
        &self.name
    }

    /// The full path, for messages: files are opened by handle, not by it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's id of the cgroup: the directory's inode number, and what
    /// `bpf_get_current_cgroup_id` returns.
    ///
    /// # Errors
    ///
    /// The directory cannot be looked at.
    pub fn id(&self) -> Result<u64> {
        rustix::fs::fstat(&self.dir)
            .map(|stat| stat.st_ino)
            .map_err(|error| Error::io("stat", &self.path, error))
    }

    /// The controllers whose files this cgroup has.
    ///
    /// # Errors
    ///
    /// The cgroup is gone or unreadable.
    pub fn controllers(&self) -> Result<Vec<String>> {
        Ok(parse::word_list(&self.read("cgroup.controllers")?))
    }

    /// Moves a process, with all its threads, into the cgroup.
    ///
    /// # Errors
    ///
    /// No such process (ESRCH), or the cgroup may hold none (EBUSY, when
    /// controllers are enabled for its children).
    pub fn add(&self, pid: u32) -> Result<()> {
        files::write(&self.dir, "cgroup.procs", &pid.to_string())
            .map_err(|source| self.failed("write", "cgroup.procs", source))
    }

    /// Whether a `/proc/PID/cgroup` text is of a member, here or in a nested
    /// cgroup.
    pub(crate) fn contains(&self, proc_cgroup: &[u8]) -> bool {
        parse::membership(proc_cgroup)
            .and_then(|path| path.strip_prefix(self.membership.as_slice()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The directory handle.
    pub fn as_dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory handle of the mount.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>> {
        files::read(&self.dir, file).map_err(|error| self.failed("read", file, error))
    }

    /// ENODEV is what a removed cgroup's open files answer, ENOENT what its
    /// directory answers for a file every cgroup has.
    fn failed(
        &self,
        operation: &'static str,
        file: &str,
        error: impl Into<std::io::Error>,
    ) -> Error {
        let error = error.into();
        match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENOENT) => Error::Removed { path: self.path.clone() },
            _ => Error::io(operation, self.path.join(file), error),
        }
    }
}

#[cfg(test)]
mod tests;
