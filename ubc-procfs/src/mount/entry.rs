//! The native entry way: where the container's procfs has the name, a FUSE
//! superblock whose root is a file goes straight onto it. Nothing else of
//! /proc changes.
//!
//! The order is procroot's: all is opened first, the server runs before
//! anything is mounted, and no thread that lives on enters the container's
//! mount namespace.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};
use ubc_core::ContainerId;

use super::enter::inside;
use super::fuse;
use super::place::{self, HOST_ROOT, Name};
use super::procview::Place;
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::session::{self, Device};
use crate::source::Source;
use crate::view::{Content, FileView};

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
    server: JoinHandle<()>,
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
    ) -> Result<NativeEntry, AttachError> {
        let Place { root, path, .. } = *place;
        let owner = process.owner()?;
        let mut ready = Vec::new();
        for content in contents {
            let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
            let mount = fuse::superblock(&device, fuse::Root::File, &path.join(content.name()))?;
            let view = FileView::new(*content, Arc::clone(source), owner);
            let server = session::spawn(view, device, &format!("ubc-view-{id}"))
                .map_err(|source| AttachError::Thread { source })?;
            ready.push((content.name(), mount, server));
        }
        let mounts: Vec<(&str, &OwnedFd)> =
            ready.iter().map(|(name, mount, _)| (*name, mount)).collect();
        let numbers = inside(process, || cover(root, path, &mounts))?;
        let files = ready
            .into_iter()
            .zip(numbers)
            .map(|((name, _, server), device_number)| Served { name, device_number, server });
        Ok(NativeEntry { root: root.to_owned(), path: path.to_owned(), files: files.collect() })
    }

    /// Takes the files away again; the kernel's own entries show.
    pub(super) fn detach(self, process: &ContainerProcess) -> Result<(), AttachError> {
        let NativeEntry { root, path, files } = self;
        inside(process, || {
            // A name that is gone took its mount along.
            let mut failure = Errno::NOENT;
            // By now the runtime may have made the root what it was to be.
            for root in [Path::new(HOST_ROOT), &root] {
                let uncovered = place::open(root, &path).and_then(|procfs| {
                    files.iter().map(|file| uncover(&procfs, file)).reduce(Result::and).transpose()
                });
                match uncovered {
                    Ok(_) => return Ok(()),
                    Err(Errno::NOENT) => {}
                    Err(error) => failure = error,
                }
            }
            match failure {
                Errno::NOENT => Ok(()),
                error => Err(fuse::failed("cannot unmount the view in", &path, error)),
            }
        })
    }

    /// Whether any of the files is still served.
    pub(super) fn is_served(&self) -> bool {
        self.files.iter().any(|file| !file.server.is_finished())
    }
}

/// Mounts each file on its name and tells the device numbers.
fn cover(
    root: &Path,
    path: &Path,
    mounts: &[(&str, &OwnedFd)],
) -> Result<Vec<(u32, u32)>, AttachError> {
    let procfs = place::procfs(root, path)?;
    let mut numbers = Vec::new();
    let one = |name: &str, mount: &OwnedFd| {
        let path = path.join(name);
        let failed = |error| fuse::failed("cannot mount the view on", &path, error);
        let at = match place::name(&procfs, name).map_err(failed)? {
            Name::Bare(at) => at,
            Name::Absent => return Err(failed(Errno::NOENT)),
            Name::Covered => return Err(AttachError::Covered { path }),
        };
        let number = place::device(mount, "").map_err(failed)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount, "", &at, "", flags).map_err(failed)?;
        Ok(number)
    };
    for (name, mount) in mounts {
        match one(name, mount) {
            Ok(number) => numbers.push(number),
            Err(error) => {
                for (name, _) in &mounts[..numbers.len()] {
                    if let Err(error) = place::unmount_in(&procfs, name) {
                        log::warn!("cannot unmount {name} of the container: {error}");
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(numbers)
}

/// Unmounts one file, if it is what its name shows.
fn uncover(procfs: &OwnedFd, file: &Served) -> Result<(), Errno> {
    if place::device(procfs, file.name)? == file.device_number {
        place::unmount_in(procfs, file.name)
    } else {
        Err(Errno::BUSY)
    }
}

#[cfg(test)]
mod tests;
