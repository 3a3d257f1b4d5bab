//! Putting a view in place: into a container's /proc, or on a directory of
//! the host.

mod enter;
mod entry;
mod fuse;
mod handover;
mod mountinfo;
mod place;
mod procroot;
mod procview;
mod way;

use std::path::Path;
use std::sync::Arc;

use crate::error::AttachError;
use crate::session::{self, Device, Session};
use crate::source::Source;
use crate::view::{Ledger, Owner, View};

pub use enter::INSIDE;
pub use handover::{Inherited, Keep, Part, ViewState};
pub use procview::{Place, ProcView};
pub use way::{Meminfo, Way};

/// A view mounted on a directory of the host.
///
/// Dropping it unmounts it.
#[derive(Debug)]
pub struct PlainView {
    path: std::path::PathBuf,
    session: Session,
    /// None if nobody is to take it over.
    ledger: Option<Ledger>,
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
        PlainView::make(path, source, owner, None)
    }

    /// As [`PlainView::mount`], for a view that is to survive this process.
    /// Stays mounted when this process dies; [`PlainView::parts`] has what
    /// [`PlainView::take_over`] needs.
    ///
    /// # Errors
    ///
    /// As [`PlainView::mount`].
    pub fn mount_kept(
        path: &Path,
        source: Arc<dyn Source>,
        owner: Owner,
    ) -> Result<PlainView, AttachError> {
        let ledger = Ledger::new().map_err(|source| AttachError::NotKept { source })?;
        PlainView::make(path, source, owner, Some(ledger))
    }

    fn make(
        path: &Path,
        source: Arc<dyn Source>,
        owner: Owner,
        ledger: Option<Ledger>,
    ) -> Result<PlainView, AttachError> {
        let device = Device::open().map_err(|source| AttachError::NoFuse { source })?;
        let mount = fuse::superblock(&device, fuse::Root::Directory, path)?;
        let view = procroot::with_ledger(View::plain(source, owner), ledger.as_ref())?;
        let session = session::spawn(view, device, "ubc-view-host")
            .map_err(|source| AttachError::Thread { source })?;
        fuse::attach_tree(&mount, path)?;
        Ok(PlainView { path: path.to_owned(), session, ledger })
    }

    /// Goes on serving the view of a process that is gone, with the descriptors
    /// it left.
    ///
    /// # Errors
    ///
    /// A descriptor is missing, or no thread can be started.
    pub fn take_over(
        path: &Path,
        source: Arc<dyn Source>,
        owner: Owner,
        fds: Inherited<'_>,
    ) -> Result<PlainView, AttachError> {
        let (device, ledger) = handover::inherited(0, fds)?;
        let view = procroot::with_ledger(View::plain(source, owner), Some(&ledger))?;
        let session = session::resume(view, device, "ubc-view-host")
            .map_err(|source| AttachError::Thread { source })?;
        Ok(PlainView { path: path.to_owned(), session, ledger: Some(ledger) })
    }

    /// Calls `keep` with what a successor needs.
    pub fn parts<T>(&self, keep: impl FnOnce(&[Part<'_>]) -> T) -> T {
        keep(&handover::named(&handover::parts(0, &self.session, self.ledger.as_ref())))
    }

    /// Whether the view is still served: false once its last mount is gone.
    pub fn is_served(&self) -> bool {
        !self.session.is_over()
    }

    /// Leaves it mounted, for a successor.
    pub fn leave(mut self) {
        self.path.clear();
    }
}

impl Drop for PlainView {
    fn drop(&mut self) {
        // One that was left has none.
        let unmounted = !self.path.as_os_str().is_empty();
        let flags = rustix::mount::UnmountFlags::DETACH;
        // The last reader lets the server go.
        if unmounted && let Err(error) = rustix::mount::unmount(&self.path, flags) {
            log::warn!("cannot unmount {}: {error}", self.path.display());
        }
    }
}
