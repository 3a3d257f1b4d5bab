//! Putting a view in place: into a container's /proc, or on a directory of
//! the host.

mod enter;
mod entry;
mod fuse;
mod mountinfo;
mod place;
mod procroot;
mod procview;
mod way;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::error::AttachError;
use crate::session::{self, Device};
use crate::source::Source;
use crate::view::{Owner, View};

pub use procview::{Place, ProcView};
pub use way::{Meminfo, Way};

/// A view mounted on a directory of the host.
///
/// Dropping it unmounts it.
#[derive(Debug)]
pub struct PlainView {
    path: std::path::PathBuf,
    server: Option<JoinHandle<()>>,
}

impl PlainView {
    /// Takes away what a server that died left mounted on a directory: views
    /// only, never another file system.
    ///
    /// # Errors
    ///
    /// The mounts cannot be listed, or the kernel refuses to unmount.
    pub fn clear(path: &Path) -> std::io::Result<()> {
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        for _ in 0..mountinfo::views_on(&mounts, path) {
            rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH)?;
        }
        Ok(())
    }

    /// Mounts a plain view (no /proc behind it) on an existing directory.
    ///
    /// # Errors
    ///
    /// No FUSE here, or the kernel refused the mount.
    pub fn mount(
        path: &Path,
        source: Arc<dyn Source>,
        owner: Owner,
    ) -> Result<PlainView, AttachError> {
        let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
        let mount = fuse::superblock(&device, fuse::Root::Directory, path)?;
        let server = session::spawn(View::plain(source, owner), device, "ubc-view-host")
            .map_err(|source| AttachError::Thread { source })?;
        fuse::attach_tree(&mount, path)?;
        Ok(PlainView { path: path.to_owned(), server: Some(server) })
    }
}

impl Drop for PlainView {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        match rustix::mount::unmount(&self.path, flags) {
            // The last reader lets the server go.
            Ok(()) => drop(self.server.take()),
            Err(error) => log::warn!("cannot unmount {}: {error}", self.path.display()),
        }
    }
}
