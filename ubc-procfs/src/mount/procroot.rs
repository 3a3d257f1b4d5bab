//! The procroot way: a FUSE directory over the container's /proc, with the
//! runtime's own procfs moved below it.
//!
//! Order matters. Everything is opened first, the server runs before anything
//! is mounted (mounting below a FUSE directory asks it for the name), and the
//! server thread itself never enters the container's mount namespace, or the
//! namespace could not die while it is served. Only a thread made for the
//! purpose enters, and ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat, fstatfs};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use ubc_core::ContainerId;

use super::enter::inside;
use super::handover::{self, DeliveredState, Inherited, NATIVE};
use super::place::{self, HOST_ROOT};
use super::procview::{Keeping, Place};
use super::{fuse, mountinfo};
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::session::{self, Device, Session};
use crate::source::Source;
use crate::text::meminfo::MemorySize;
use crate::view::{Askers, Hiding, Ledger, NATIVE_DIR, Native, Owner, View};

/// Longest list of mounts looked through: about 20 000 of them.
const MAX_MOUNTS: u64 = 4 << 20;

/// A view over a container's /proc.
#[derive(Debug)]
pub(super) struct Procroot {
    root: PathBuf,
    path: PathBuf,
    device_number: u64,
    session: Session,
    /// None if nobody is to take it over.
    ledger: Option<Ledger>,
    native: OwnedFd,
}

impl Procroot {
    /// Puts the view over the procfs at `place`. Nothing stays mounted after an
    /// error.
    pub(super) fn attach(
        id: ContainerId,
        process: &ContainerProcess,
        place: &Place<'_>,
        source: Arc<dyn Source>,
        meminfo: Option<MemorySize>,
        keeping: &Keeping<'_>,
    ) -> Result<Procroot, AttachError> {
        let Place { root, path, .. } = *place;
        let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
        let owner = keeping.owner;
        let askers = askers()?;
        let (at, native, tree) = inside(process, || take(&askers, root, path))?;
        let mount = fuse::superblock(&device, fuse::Root::Directory, path)?;
        let hiding = native.hiding();
        let keep = native.root().try_clone().map_err(|source| AttachError::NotKept { source })?;
        let ledger = keeping.ledger()?;
        let view = View::procroot(source, owner, native, askers).with_meminfo(meminfo);
        let view = with_ledger(view, ledger.as_ref())?;
        // Not from inside: a thread is born in the namespaces of its maker.
        let session = session::spawn(view, device, &format!("ubc-view-{id}"))
            .map_err(|source| AttachError::Thread { source })?;
        let device_number = fstat(&mount)
            .map_err(|error| fuse::failed("cannot look at the view for", path, error))?
            .st_dev;
        let (root, path) = (root.to_owned(), path.to_owned());
        let made = Procroot { root, path, device_number, session, ledger, native: keep };
        keeping.keep(DeliveredState::Procroot { device_number, hiding }, &made.parts())?;
        inside(process, || cover(&made.path, &at, &mount, &tree))?;
        Ok(made)
    }

    /// Goes on serving the view of a process that is gone.
    pub(super) fn take_over(
        id: ContainerId,
        (root, path, owner): (&Path, &Path, Owner),
        (device_number, hiding): (u64, Hiding),
        (source, meminfo): (Arc<dyn Source>, Option<MemorySize>),
        fds: Inherited<'_>,
    ) -> Result<Procroot, AttachError> {
        let (device, ledger) = handover::inherited(0, fds)?;
        let native = handover::needed(fds(&format!("0{NATIVE}")), "procfs")?;
        let keep = native.try_clone().map_err(|source| AttachError::NotKept { source })?;
        let native = Native::new(native, hiding);
        let view = View::procroot(source, owner, native, askers()?).with_meminfo(meminfo);
        let view = with_ledger(view, Some(&ledger))?;
        let session = session::resume(view, device, &format!("ubc-view-{id}"))
            .map_err(|source| AttachError::Thread { source })?;
        let (root, path) = (root.to_owned(), path.to_owned());
        let ledger = Some(ledger);
        Ok(Procroot { root, path, device_number, session, ledger, native: keep })
    }

    /// What a successor needs.
    fn parts(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let mut parts = handover::parts(0, &self.session, self.ledger.as_ref());
        parts.push((format!("0{NATIVE}"), self.native.as_fd()));
        parts
    }

    /// Takes the view away again. The native procfs shows as it was below the
    /// view, with all that hides parts of it: runtimes may have mounted that
    /// after the view, and then it is nowhere else.
    ///
    /// Before Linux 6.5 there is a moment in between at which the procfs shows
    /// as it was when the view was attached.
    pub(super) fn detach(self, process: &ContainerProcess) -> Result<(), AttachError> {
        detach(&self.root, &self.path, self.device_number, process)
    }

    /// Whether the view is still served: false once its last mount is gone.
    pub(super) fn is_served(&self) -> bool {
        !self.session.is_over()
    }
}

/// Unmounts the view with this device number.
pub(super) fn detach(
    root: &Path,
    path: &Path,
    device_number: u64,
    process: &ContainerProcess,
) -> Result<(), AttachError> {
    inside(process, || {
        // By now the runtime may have made the root what it was to be.
        let mut failure = Errno::BUSY;
        for root in [Path::new(HOST_ROOT), root] {
            match place::open(root, path) {
                Ok(at) if place::device_number(&at) == Ok(device_number) => {
                    return uncover(root, path, &at);
                }
                Ok(_) => {}
                Err(error) => failure = error,
            }
        }
        Err(fuse::failed("cannot unmount the view on", path, failure))
    })
}

/// The host's own procfs.
fn askers() -> Result<Askers, AttachError> {
    Askers::open().map_err(|source| AttachError::Mount {
        step: "cannot open the host's",
        path: "/proc".into(),
        source,
    })
}

pub(super) fn with_ledger(view: View, ledger: Option<&Ledger>) -> Result<View, AttachError> {
    match ledger {
        Some(ledger) => view.with_ledger(ledger).map_err(|source| AttachError::NotKept { source }),
        None => Ok(view),
    }
}

/// Opens the procfs at `path` below `root` and clones it: once alone, for the
/// server to look at, and once with all that is mounted inside it (the
/// runtime's masks, lxcfs).
fn take(
    askers: &Askers,
    root: &Path,
    path: &Path,
) -> Result<(OwnedFd, Native, OwnedFd), AttachError> {
    let root = place::procfs(root, path)?;
    let hiding = hiding(askers, &root).map_err(|source| AttachError::Mount {
        step: "cannot find the mount options of",
        path: path.to_owned(),
        source,
    })?;
    let clone =
        |flags| clone(&root, flags).map_err(|error| fuse::failed("cannot clone", path, error));
    let (alone, whole) = (clone(OpenTreeFlags::empty())?, clone(OpenTreeFlags::AT_RECURSIVE)?);
    Ok((root, Native::new(alone, hiding), whole))
}

/// What a procfs hides, by the options it is mounted with in the calling
/// thread's namespace.
fn hiding(askers: &Askers, mount: &OwnedFd) -> io::Result<Hiding> {
    let of_thread = |file: &str| askers.text(&format!("thread-self/{file}"), MAX_MOUNTS);
    let info = of_thread(&format!("fdinfo/{}", mount.as_raw_fd()))?;
    let mounts = of_thread("mountinfo")?;
    let options = mountinfo::mount_id(&info).and_then(|id| mountinfo::options(&mounts, id));
    options.map(Hiding::from_options).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Mounts the view on what was opened at `path`, and the native tree inside
/// it. On an error nothing is left.
fn cover(path: &Path, at: &OwnedFd, mount: &OwnedFd, tree: &OwnedFd) -> Result<(), AttachError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", at, "", flags)
        .map_err(|error| fuse::failed("cannot mount the view on", path, error))?;
    let filled = move_mount(tree, "", mount, NATIVE_DIR, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| fuse::failed("cannot mount the native procfs in", path, error));
    filled.inspect_err(|_| {
        if let Err(error) = place::unmount(mount) {
            log::warn!("cannot unmount {} of the container: {error}", path.display());
        }
    })
}

/// Unmounts the view whose root this is, and leaves the native tree inside it
/// in its place.
fn uncover(root: &Path, path: &Path, at: &OwnedFd) -> Result<(), AttachError> {
    let failed = |error| fuse::failed("cannot unmount the view on", path, error);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let native = rustix::fs::openat(at, NATIVE_DIR, flags, Mode::empty()).map_err(failed)?;
    // Whoever owns the mounts of the container may have unmounted it.
    let is_procfs = fstatfs(&native).map_err(failed)?.f_type == rustix::fs::PROC_SUPER_MAGIC;
    if !is_procfs {
        return place::unmount(at).map_err(failed);
    }
    let tree = clone(&native, OpenTreeFlags::AT_RECURSIVE).map_err(failed)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let beneath = flags | MoveMountFlags::MOVE_MOUNT_BENEATH;
    let is_beneath = move_mount(&tree, "", at, "", beneath).is_ok();
    place::unmount(at).map_err(failed)?;
    if is_beneath {
        return Ok(());
    }
    let failed = |error| fuse::failed("cannot put the native procfs back on", path, error);
    let at = place::open(root, path).map_err(failed)?;
    move_mount(&tree, "", &at, "", flags).map_err(failed)
}

/// Clones the mount of a directory, from that directory on.
fn clone(dir: &OwnedFd, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    let flags = flags
        | OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(dir.as_fd(), "", flags)
}
