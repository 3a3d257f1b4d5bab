//! The view in a container's /proc, by whichever way the machine offers.

use std::path::Path;
use std::sync::Arc;

use ubc_core::ContainerId;

use super::enter::inside;
use super::entry::NativeEntry;
use super::fuse;
use super::place::{self, HOST_ROOT, Name};
use super::procroot::Procroot;
use super::way::{Meminfo, Way};
use crate::error::AttachError;
use crate::process::ContainerProcess;
use crate::source::Source;
use crate::text::meminfo::MemorySize;
use crate::view::Content;

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
        let (way, meminfo) = inside(process, || look(place))?;
        let size = match meminfo {
            Meminfo::Own(size) => Some(size),
            _ => None,
        };
        let delivered = match way {
            Way::Procroot => {
                Delivered::Procroot(Procroot::attach(id, process, place, source, size)?)
            }
            Way::NativeEntry => {
                let contents: Vec<Content> = [Content::UserBeancounters]
                    .into_iter()
                    .chain(size.map(Content::Meminfo))
                    .collect();
                let entry = NativeEntry::attach(id, process, place, &source, &contents)?;
                Delivered::NativeEntry(entry)
            }
        };
        Ok(ProcView { delivered, meminfo })
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
