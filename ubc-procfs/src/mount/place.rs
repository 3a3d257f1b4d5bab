//! Where in a container the view goes: held by a descriptor from the moment it
//! was looked at, so that nobody can put something else there meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

/// The root of the mount namespace one is in.
pub(super) const HOST_ROOT: &str = "/";

/// Opens a directory below `root` of the calling thread's mount namespace.
///
/// What is below `root` belongs to the container: no link is followed there
/// and nothing leads out of it.
pub(super) fn open(root: &Path, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::NOFOLLOW, Mode::empty(), resolve)
}

/// Unmounts the mount that this is the root of, whatever its path is by now.
/// The calling thread must have a working directory of its own.
pub(super) fn unmount(mount: impl AsFd) -> Result<(), Errno> {
    rustix::process::fchdir(mount)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
}
