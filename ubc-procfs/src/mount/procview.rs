//! The view in a container's /proc, by whichever way the machine offers.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use ubc_core::ContainerId;

use super::enter::inside;
use super::entry::{self, NativeEntry};
use super::fuse;
use super::handover::{self, DeliveredState, Inherited, Keep, ViewState};
use super::place::{self, HOST_ROOT, Name};
use super::procroot::{self, Procroot};
use super::way::{Meminfo, Way};
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::source::Source;
use crate::text::meminfo::MemorySize;
use crate::view::{Content, Ledger, Owner};

/// Where in a container the view goes, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What is or will be the container's root, as a path in its mount
    /// namespace. A runtime that runs an OCI `createRuntime` hook has not
    /// made it the root yet. It is of the host and trusted.
    pub root: &'a Path,
    /// The container's procfs, looked up below `root`, where no link is
    /// followed and nothing leads out.
    pub path: &'a Path,
    /// Also a /proc/meminfo of the container's own, by this size.
    pub meminfo: Option<MemorySize>,
}

impl Default for Place<'_> {
    /// /proc of a container that runs, without a meminfo.
    fn default() -> Self {
        Place { root: Path::new(HOST_ROOT), path: Path::new("/proc"), meminfo: None }
    }
}

/// A view in a container's /proc.
///
/// It stays in place when this value is dropped and ends with the container;
/// [`ProcView::detach`] takes it away from a running one.
#[derive(Debug)]
pub struct ProcView {
    delivered: Delivered,
    meminfo: Meminfo,
}

#[derive(Debug)]
enum Delivered {
    Procroot(Procroot),
    NativeEntry(NativeEntry),
}

impl ProcView {
    /// Puts the view into the /proc of the container that `process` lives in:
    /// onto the native entry where its procfs has one, over the directory
    /// otherwise. The source must know that container only.
    ///
    /// A meminfo that something is mounted onto already is left alone.
    ///
    /// # Errors
    ///
    /// No FUSE here, the process ended, the place is not the root of a procfs
    /// or has the view already, there is a link on the way to it, something
    /// else is mounted onto the native entry, or the kernel refused a step.
    /// Nothing stays mounted then.
    pub fn attach(
        id: ContainerId,
        process: &ContainerProcess,
        place: &Place<'_>,
        source: Arc<dyn Source>,
    ) -> Result<ProcView, AttachError> {
        ProcView::attach_kept(id, process, place, source, None)
    }

    /// As [`ProcView::attach`], for a view that is to survive this process:
    /// `keep` is called when the view is ready and before it is mounted, and has
    /// it kept what [`ProcView::take_over`] needs. Where it fails nothing is
    /// mounted.
    ///
    /// # Errors
    ///
    /// As [`ProcView::attach`], and what `keep` says.
    pub fn attach_kept(
        id: ContainerId,
        process: &ContainerProcess,
        place: &Place<'_>,
        source: Arc<dyn Source>,
        keep: Option<Keep<'_>>,
    ) -> Result<ProcView, AttachError> {
        let (way, meminfo) = inside(process, || look(place))?;
        let keeping = Keeping { keep, place, owner: process.owner()?, meminfo };
        let size = match meminfo {
            Meminfo::Own(size) => Some(size),
            _ => None,
        };
        let delivered = match way {
            Way::Procroot => {
                Delivered::Procroot(Procroot::attach(id, process, place, source, size, &keeping)?)
            }
            Way::NativeEntry => {
                let contents = contents(size);
                let entry = NativeEntry::attach(id, process, place, &source, &contents, &keeping)?;
                Delivered::NativeEntry(entry)
            }
        };
        Ok(ProcView { delivered, meminfo })
    }

    /// Goes on serving a view whose server is gone, with the descriptors it
    /// left. Readers have waited meanwhile; what the last server was asked and
    /// did not answer is answered first.
    ///
    /// A view that was never mounted, or is not any more, is found to be served
    /// no longer ([`ProcView::is_served`]) at once.
    ///
    /// # Errors
    ///
    /// A descriptor is missing, or no thread can be started.
    pub fn take_over(
        id: ContainerId,
        state: &ViewState,
        fds: Inherited<'_>,
        source: Arc<dyn Source>,
    ) -> Result<ProcView, AttachError> {
        let ViewState { root, path, owner, meminfo, delivered } = state;
        let size = match meminfo {
            Meminfo::Own(size) => Some(*size),
            _ => None,
        };
        let place = (root.as_path(), path.as_path(), *owner);
        let delivered = match delivered {
            DeliveredState::Procroot { device_number, hiding } => {
                let shown = (*device_number, *hiding);
                let view = Procroot::take_over(id, place, shown, (source, size), fds)?;
                Delivered::Procroot(view)
            }
            DeliveredState::NativeEntry { device_numbers } => {
                let contents = contents(size);
                let shown = (&source, contents.as_slice());
                let view = NativeEntry::take_over(id, place, device_numbers, shown, fds)?;
                Delivered::NativeEntry(view)
            }
        };
        Ok(ProcView { delivered, meminfo: *meminfo })
    }

    /// Takes away a view that nobody serves any more and nobody can take over;
    /// what it covered shows.
    ///
    /// # Errors
    ///
    /// As [`ProcView::detach`].
    pub fn clear(state: &ViewState, process: &ContainerProcess) -> Result<(), AttachError> {
        let ViewState { root, path, meminfo, delivered, .. } = state;
        match delivered {
            DeliveredState::Procroot { device_number, .. } => {
                procroot::detach(root, path, *device_number, process)
            }
            DeliveredState::NativeEntry { device_numbers } => {
                let size = match meminfo {
                    Meminfo::Own(size) => Some(*size),
                    _ => None,
                };
                let names = contents(size).into_iter().map(Content::name);
                let files: Vec<_> = names.zip(device_numbers.iter().copied()).collect();
                entry::detach(root, path, &files, process)
            }
        }
    }

    /// Takes the view away again; what it covered shows.
    ///
    /// # Errors
    ///
    /// The process ended, or something else is mounted over the view.
    pub fn detach(self, process: &ContainerProcess) -> Result<(), AttachError> {
        match self.delivered {
            Delivered::Procroot(view) => view.detach(process),
            Delivered::NativeEntry(view) => view.detach(process),
        }
    }

    /// Whether the view is still served: false once its last mount is gone.
    pub fn is_served(&self) -> bool {
        match &self.delivered {
            Delivered::Procroot(view) => view.is_served(),
            Delivered::NativeEntry(view) => view.is_served(),
        }
    }

    /// How it came there.
    pub fn way(&self) -> Way {
        match self.delivered {
            Delivered::Procroot(_) => Way::Procroot,
            Delivered::NativeEntry(_) => Way::NativeEntry,
        }
    }

    /// Whose /proc/meminfo the container has.
    pub fn meminfo(&self) -> Meminfo {
        self.meminfo
    }
}

/// What goes onto native entries.
fn contents(size: Option<MemorySize>) -> Vec<Content> {
    [Content::UserBeancounters].into_iter().chain(size.map(Content::Meminfo)).collect()
}

/// Who keeps what a successor needs, if anybody does.
pub(super) struct Keeping<'a> {
    keep: Option<Keep<'a>>,
    place: &'a Place<'a>,
    pub(super) owner: Owner,
    meminfo: Meminfo,
}

impl Keeping<'_> {
    /// Nobody is to take the view over.
    #[cfg(test)]
    pub(super) fn by_nobody<'a>(place: &'a Place<'a>, owner: Owner) -> Keeping<'a> {
        Keeping { keep: None, place, owner, meminfo: Meminfo::Unchanged }
    }

    pub(super) fn ledger(&self) -> Result<Option<Ledger>, AttachError> {
        let ledger = self.keep.map(|_| Ledger::new()).transpose();
        ledger.map_err(|source| AttachError::NotKept { source })
    }

    pub(super) fn keep(
        &self,
        delivered: DeliveredState,
        parts: &[(String, BorrowedFd<'_>)],
    ) -> Result<(), AttachError> {
        let Some(keep) = self.keep else { return Ok(()) };
        let Place { root, path, .. } = *self.place;
        let (root, path) = (root.to_owned(), path.to_owned());
        let state = ViewState { root, path, owner: self.owner, meminfo: self.meminfo, delivered };
        keep(&state, &handover::named(parts)).map_err(|source| AttachError::NotKept { source })
    }
}

/// Looks what the container's procfs offers.
fn look(place: &Place<'_>) -> Result<(Way, Meminfo), AttachError> {
    let procfs = place::procfs(place.root, place.path)?;
    let look = |name: &str| {
        let path = place.path.join(name);
        place::name(&procfs, name).map_err(|error| fuse::failed("cannot open", &path, error))
    };
    let name = Content::UserBeancounters.name();
    let way = match look(name)? {
        Name::Absent => Way::Procroot,
        Name::Bare(_) => Way::NativeEntry,
        Name::Covered => return Err(AttachError::Covered { path: place.path.join(name) }),
    };
    let meminfo = match place.meminfo {
        None => Meminfo::Unchanged,
        Some(size) => match look(Content::Meminfo(size).name())? {
            Name::Bare(_) => Meminfo::Own(size),
            Name::Covered => Meminfo::LeftToOther,
            Name::Absent => Meminfo::Absent,
        },
    };
    Ok((way, meminfo))
}
