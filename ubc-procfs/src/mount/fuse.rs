//! FUSE superblocks by the new mount API (Linux 5.2).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use crate::error::AttachError;
use crate::session::Device;

/// The name `findmnt` and /proc/self/mountinfo show as the source.
pub(super) const SOURCE: &str = "ubc";

/// What the root of a superblock is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    Directory,
    File,
}

/// A new superblock, mounted nowhere yet. It goes away with the returned
/// descriptor unless it is attached.
///
/// `default_permissions` makes the kernel check the modes of the files, and
/// `allow_other` lets any user of the container come as far as those checks.
pub(super) fn superblock(device: &Device, root: Root, path: &Path) -> Result<OwnedFd, AttachError> {
    // Only the type counts; the server tells the permissions.
    let mode = match root {
        Root::Directory => "40555",
        Root::File => "100400",
    };
    let make = || -> Result<OwnedFd, Errno> {
        let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        fsconfig_set_string(context, "source", SOURCE)?;
        fsconfig_set_string(context, "subtype", SOURCE)?;
        fsconfig_set_string(context, "fd", device.raw().to_string())?;
        fsconfig_set_string(context, "rootmode", mode)?;
        fsconfig_set_string(context, "user_id", "0")?;
        fsconfig_set_string(context, "group_id", "0")?;
        fsconfig_set_flag(context, "default_permissions")?;
        fsconfig_set_flag(context, "allow_other")?;
        fsconfig_create(context)?;
        fsmount(
            context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )
    };
    make().map_err(|error| failed("cannot make a FUSE mount for", path, error))
}

/// Mounts a detached tree on a path of the calling thread's namespace.
pub(super) fn attach_tree(tree: &OwnedFd, path: &Path) -> Result<(), AttachError> {
    move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| failed("cannot mount the view on", path, error))
}

pub(super) fn failed(step: &'static str, path: &Path, error: Errno) -> AttachError {
    AttachError::Mount { step, path: path.to_owned(), source: error.into() }
}
