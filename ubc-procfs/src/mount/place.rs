//! Where in a container the view goes: held by a descriptor from the moment it
//! was looked at, so that nobody can put something else there meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, fstat, fstatfs, statx,
};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::fuse;
use crate::error::AttachError;

/// The root of a procfs has this inode number (`PROC_ROOT_INO`).
const PROC_ROOT_INO: u64 = 1;

/// `FUSE_SUPER_MAGIC`
const FUSE_MAGIC: i64 = 0x6573_5546;

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

/// Opens the root of the procfs at `path` below `root`, as [`open`] does.
pub(super) fn procfs(root: &Path, path: &Path) -> Result<OwnedFd, AttachError> {
    let failed = |error| fuse::failed("cannot open", path, error);
    let procfs = open(root, path).map_err(failed)?;
    let magic = fstatfs(&procfs).map_err(failed)?.f_type;
    if magic == FUSE_MAGIC {
        return Err(AttachError::AlreadyAttached { path: path.to_owned() });
    }
    let is_root = fstat(&procfs).map_err(failed)?.st_ino == PROC_ROOT_INO;
    if magic != rustix::fs::PROC_SUPER_MAGIC || !is_root {
        return Err(AttachError::NotProcfs { path: path.to_owned() });
    }
    Ok(procfs)
}

/// What a procfs has under a name in its root.
pub(super) enum Name {
    Absent,
    /// Its own file, with nothing mounted onto it.
    Bare(OwnedFd),
    /// Something is mounted onto it.
    Covered,
}

/// Looks a name up in the root of a procfs. What may be mounted onto it is the
/// container's and is not asked anything: its answer could be long in coming.
pub(super) fn name(procfs: &OwnedFd, name: &str) -> Result<Name, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(procfs, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Name::Absent),
        file => file?,
    };
    let mount = |fd| glance(fd, "", StatxFlags::MNT_ID).map(|found| found.stx_mnt_id);
    if mount(&file)? != mount(procfs)? {
        return Ok(Name::Covered);
    }
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    Ok(if kind == FileType::RegularFile { Name::Bare(file) } else { Name::Absent })
}

/// The number of the file system that a name in a directory shows, or, with an
/// empty name, of what is open.
pub(super) fn device(at: &OwnedFd, name: &str) -> Result<(u32, u32), Errno> {
    let found = glance(at, name, StatxFlags::empty())?;
    Ok((found.stx_dev_major, found.stx_dev_minor))
}

/// As [`device`] of what is open, in the form of `st_dev`.
pub(super) fn device_number(at: &OwnedFd) -> Result<u64, Errno> {
    device(at, "").map(|(major, minor)| rustix::fs::makedev(major, minor))
}

/// Attributes that the kernel knows by itself, without asking a server.
fn glance(at: &OwnedFd, name: &str, wanted: StatxFlags) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(at, name, flags, wanted)
}

/// Unmounts what is mounted onto a name in a directory. The calling thread
/// must have a working directory of its own.
pub(super) fn unmount_in(directory: impl AsFd, name: &str) -> Result<(), Errno> {
    rustix::process::fchdir(directory)?;
    rustix::mount::unmount(name, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Unmounts the mount that this is the root of, whatever its path is by now.
/// The calling thread must have a working directory of its own.
pub(super) fn unmount(mount: impl AsFd) -> Result<(), Errno> {
    rustix::process::fchdir(mount)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
}
