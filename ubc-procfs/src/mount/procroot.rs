//! The procroot way: a FUSE directory over the container's /proc, with the
//! runtime's own procfs moved below it.
//!
//! Order matters. Everything is opened first, the server runs before anything
//! is mounted (mounting below a FUSE directory asks it for the name), and the
//! server thread itself never enters the container's mount namespace, or the
//! namespace could not die while it is served. Only a thread made for the
//! purpose enters, and ends.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{Mode, OFlags, fstat, fstatfs};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use ubc_core::ContainerId;

use super::fuse;
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::session::{self, Device};
use crate::source::Source;
use crate::view::{NATIVE_DIR, Native, View};

/// The root of a procfs has this inode number (`PROC_ROOT_INO`).
const PROC_ROOT_INO: u64 = 1;

/// `FUSE_SUPER_MAGIC`
const FUSE_MAGIC: i64 = 0x6573_5546;

/// A view over a container's /proc.
///
/// It stays in place when this value is dropped and ends with the container;
/// [`ProcView::detach`] takes it away from a running one.
#[derive(Debug)]
pub struct ProcView {
    path: PathBuf,
    device_number: u64,
    server: JoinHandle<()>,
    device: Device,
}

impl ProcView {
    /// Puts the view over `path` (`/proc`) of the container that `process`
    /// lives in. The source must know that container only.
    ///
    /// # Errors
    ///
    /// No FUSE here, the process ended, `path` is not the root of a procfs or
    /// has the view already, or the kernel refused a step. Nothing stays
    /// mounted then.
    pub fn attach(
        id: ContainerId,
        process: &ContainerProcess,
        path: &Path,
        source: Arc<dyn Source>,
    ) -> Result<ProcView, AttachError> {
        let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
        let owner = process.owner()?;
        let (native, tree) = inside(process, || take(path))?;
        let mount = fuse::superblock(&device, path)?;
        let keep = device.try_clone().map_err(|source| AttachError::NoFuse { source })?;
        let view = View::procroot(source, owner, Native::new(native));
        // Not from inside: a thread is born in the namespaces of its maker.
        let server = session::spawn(view, device, &format!("ubc-view-{id}"))
            .map_err(|source| AttachError::Thread { source })?;
        let device_number = inside(process, || cover(path, &mount, &tree))?;
        Ok(ProcView { path: path.to_owned(), device_number, server, device: keep })
    }

    /// Takes the view away again; the native procfs below it shows.
    ///
    /// # Errors
    ///
    /// The process ended, or something else is mounted over the view.
    pub fn detach(self, process: &ContainerProcess) -> Result<(), AttachError> {
        let ProcView { path, device_number, server, device } = self;
        inside(process, || {
            let failed = |error| fuse::failed("cannot unmount the view on", &path, error);
            let top = rustix::fs::stat(&path).map_err(failed)?;
            if top.st_dev != device_number {
                return Err(failed(rustix::io::Errno::BUSY));
            }
            unmount(&path, UnmountFlags::DETACH).map_err(failed)
        })?;
        drop(device);
        drop(server);
        Ok(())
    }

    /// Whether the view is still served: false once its last mount is gone.
    pub fn is_served(&self) -> bool {
        !self.server.is_finished()
    }
}

/// Runs on a new thread in the mount namespace of the process. The thread
/// shares descriptors with us, but not the root and working directory, which
/// setns(2) changes.
fn inside<T: Send>(
    process: &ContainerProcess,
    work: impl FnOnce() -> Result<T, AttachError> + Send,
) -> Result<T, AttachError> {
    let namespace = process.namespace("mnt")?;
    let enter = |error: nix::Error| AttachError::Mount {
        step: "cannot enter the mount namespace of process",
        path: process.pid().to_string().into(),
        source: error.into(),
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("ubc-mount".to_owned())
            .spawn_scoped(scope, || {
                unshare(CloneFlags::CLONE_FS).map_err(enter)?;
                setns(&namespace, CloneFlags::CLONE_NEWNS).map_err(enter)?;
                work()
            })
            .map_err(|source| AttachError::Thread { source })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Clones the procfs at `path`: once alone, for the server to look at, and
/// once with all that is mounted inside it (the runtime's masks, lxcfs).
fn take(path: &Path) -> Result<(OwnedFd, OwnedFd), AttachError> {
    let failed = |error| fuse::failed("cannot open", path, error);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let magic = fstatfs(&root).map_err(failed)?.f_type;
    if magic == FUSE_MAGIC {
        return Err(AttachError::AlreadyAttached { path: path.to_owned() });
    }
    let is_root = fstat(&root).map_err(failed)?.st_ino == PROC_ROOT_INO;
    if magic != rustix::fs::PROC_SUPER_MAGIC || !is_root {
        return Err(AttachError::NotProcfs { path: path.to_owned() });
    }
    let clone = |flags| {
        open_tree(
            root.as_fd(),
            "",
            OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH
                | flags,
        )
        .map_err(|error| fuse::failed("cannot clone", path, error))
    };
    Ok((clone(OpenTreeFlags::empty())?, clone(OpenTreeFlags::AT_RECURSIVE)?))
}

/// Mounts the view over `path` and the native tree inside it; tells the
/// view's device number. On an error nothing is left.
fn cover(path: &Path, mount: &OwnedFd, tree: &OwnedFd) -> Result<u64, AttachError> {
    fuse::attach_tree(mount, path)?;
    let fill = || {
        let failed = |error| fuse::failed("cannot mount the native procfs in", path, error);
        let device_number = rustix::fs::fstat(mount).map_err(failed)?.st_dev;
        move_mount(tree, "", mount, NATIVE_DIR, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(failed)?;
        Ok(device_number)
    };
    fill().inspect_err(|_| {
        if let Err(error) = unmount(path, UnmountFlags::DETACH) {
            log::warn!("cannot unmount {} of the container: {error}", path.display());
        }
    })
}
