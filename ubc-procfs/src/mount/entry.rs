//! The native entry way: where the container's procfs has the name, a FUSE
//! superblock whose root is a file goes straight onto it. Nothing else of
//! /proc changes.
//!
//! The order is procroot's: all is opened first, the server runs before
//! anything is mounted, and no thread that lives on enters the container's
//! mount namespace.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};
use ubc_core::ContainerId;

use super::enter::inside;
use super::fuse;
use super::handover::{self, DeliveredState, Inherited};
use super::place::{self, HOST_ROOT, Name};
use super::procview::{Keeping, Place};
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::session::{self, Device, Session};
use crate::source::Source;
use crate::view::{Content, FileView, Ledger, Owner};

/// Views on files of a container's procfs.
#[derive(Debug)]
pub(super) struct NativeEntry {
    root: PathBuf,
    path: PathBuf,
    files: Vec<Served>,
}

/// One of them, in place.
#[derive(Debug)]
struct Served {
    name: &'static str,
    device_number: (u32, u32),
    session: Session,
    /// None if nobody is to take it over.
    ledger: Option<Ledger>,
}

impl NativeEntry {
    /// Puts these files onto the entries of the same names. Nothing stays
    /// mounted after an error.
    pub(super) fn attach(
        id: ContainerId,
        process: &ContainerProcess,
        place: &Place<'_>,
        source: &Arc<dyn Source>,
        contents: &[Content],
        keeping: &Keeping<'_>,
    ) -> Result<NativeEntry, AttachError> {
        let Place { root, path, .. } = *place;
        let (mut mounts, mut files) = (Vec::new(), Vec::new());
        for content in contents {
            let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
            let mount = fuse::superblock(&device, fuse::Root::File, &path.join(content.name()))?;
            let ledger = keeping.ledger()?;
            let view = FileView::new(*content, Arc::clone(source), keeping.owner);
            let view = with_ledger(view, ledger.as_ref())?;
            let session = session::spawn(view, device, &format!("ubc-view-{id}"))
                .map_err(|source| AttachError::Thread { source })?;
            let device_number = place::device(&mount, "")
                .map_err(|error| fuse::failed("cannot look at the view for", path, error))?;
            mounts.push((content.name(), mount));
            files.push(Served { name: content.name(), device_number, session, ledger });
        }
        let made = NativeEntry { root: root.to_owned(), path: path.to_owned(), files };
        keeping.keep(made.state(), &made.parts())?;
        inside(process, || cover(root, path, &mounts))?;
        Ok(made)
    }

    /// Goes on serving the files of a process that is gone.
    pub(super) fn take_over(
        id: ContainerId,
        (root, path, owner): (&Path, &Path, Owner),
        device_numbers: &[(u32, u32)],
        (source, contents): (&Arc<dyn Source>, &[Content]),
        fds: Inherited<'_>,
    ) -> Result<NativeEntry, AttachError> {
        let mut files = Vec::new();
        for (n, (content, device_number)) in contents.iter().zip(device_numbers).enumerate() {
            let (device, ledger) = handover::inherited(n, fds)?;
            let view = FileView::new(*content, Arc::clone(source), owner);
            let view = with_ledger(view, Some(&ledger))?;
            let session = session::resume(view, device, &format!("ubc-view-{id}"))
                .map_err(|source| AttachError::Thread { source })?;
            let (name, device_number) = (content.name(), *device_number);
            files.push(Served { name, device_number, session, ledger: Some(ledger) });
        }
        Ok(NativeEntry { root: root.to_owned(), path: path.to_owned(), files })
    }

    fn state(&self) -> DeliveredState {
        let device_numbers = self.files.iter().map(|file| file.device_number).collect();
        DeliveredState::NativeEntry { device_numbers }
    }

    /// What a successor needs.
    fn parts(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let each = self.files.iter().enumerate();
        each.flat_map(|(n, file)| handover::parts(n, &file.session, file.ledger.as_ref())).collect()
    }

    /// Takes the files away again; the kernel's own entries show.
    pub(super) fn detach(self, process: &ContainerProcess) -> Result<(), AttachError> {
        let files: Vec<_> = self.files.iter().map(|file| (file.name, file.device_number)).collect();
        detach(&self.root, &self.path, &files, process)
    }

    /// Whether any of the files is still served.
    pub(super) fn is_served(&self) -> bool {
        self.files.iter().any(|file| !file.session.is_over())
    }
}

fn with_ledger(view: FileView, ledger: Option<&Ledger>) -> Result<FileView, AttachError> {
    match ledger {
        Some(ledger) => view.with_ledger(ledger).map_err(|source| AttachError::NotKept { source }),
        None => Ok(view),
    }
}

/// Unmounts the files with these names and device numbers.
pub(super) fn detach(
    root: &Path,
    path: &Path,
    files: &[(&str, (u32, u32))],
    process: &ContainerProcess,
) -> Result<(), AttachError> {
    inside(process, || {
        // A name that is gone took its mount along.
        let mut failure = Errno::NOENT;
        // By now the runtime may have made the root what it was to be.
        for root in [Path::new(HOST_ROOT), root] {
            let uncovered = place::open(root, path).and_then(|procfs| {
                files.iter().map(|file| uncover(&procfs, *file)).reduce(Result::and).transpose()
            });
            match uncovered {
                Ok(_) => return Ok(()),
                Err(Errno::NOENT) => {}
                Err(error) => failure = error,
            }
        }
        match failure {
            Errno::NOENT => Ok(()),
            error => Err(fuse::failed("cannot unmount the view in", path, error)),
        }
    })
}

/// Mounts each file on its name.
fn cover(root: &Path, path: &Path, mounts: &[(&str, OwnedFd)]) -> Result<(), AttachError> {
    let procfs = place::procfs(root, path)?;
    let one = |name: &str, mount: &OwnedFd| {
        let path = path.join(name);
        let failed = |error| fuse::failed("cannot mount the view on", &path, error);
        let at = match place::name(&procfs, name).map_err(failed)? {
            Name::Bare(at) => at,
            Name::Absent => return Err(failed(Errno::NOENT)),
            Name::Covered => return Err(AttachError::Covered { path }),
        };
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount, "", &at, "", flags).map_err(failed)
    };
    for (done, (name, mount)) in mounts.iter().enumerate() {
        if let Err(error) = one(name, mount) {
            for (name, _) in &mounts[..done] {
                if let Err(error) = place::unmount_in(&procfs, name) {
                    log::warn!("cannot unmount {name} of the container: {error}");
                }
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Unmounts one file, if it is what its name shows.
fn uncover(procfs: &OwnedFd, (name, number): (&str, (u32, u32))) -> Result<(), Errno> {
    if place::device(procfs, name)? == number {
        place::unmount_in(procfs, name)
    } else {
        Err(Errno::BUSY)
    }
}

#[cfg(test)]
mod tests;
