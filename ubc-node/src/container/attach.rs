//! A container's init, and the view in its /proc.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{debug, warn};
use ubc_cgroup::Bounds;
use ubc_procfs::text::meminfo::MemorySize;
use ubc_procfs::{AttachError, ContainerProcess, Meminfo, Part, Place, ProcView, ViewState};

use super::Container;
use crate::error::{Error, ErrorKind, Result, may_pass};
use crate::kept::{Init, State};
use crate::sources::Own;

/// A container's init and the view in its /proc.
pub(super) struct Attached {
    pub(super) process: ContainerProcess,
    /// None if nobody asked for one, or it is away.
    pub(super) view: Option<ProcView>,
    /// Where it goes, if anybody asked for one.
    pub(super) spot: Option<Spot>,
}

/// Where a view goes in a container that has its root.
#[derive(Clone)]
pub(super) struct Spot {
    path: PathBuf,
    meminfo: Option<MemorySize>,
}

impl Spot {
    fn of(place: &Place<'_>) -> Spot {
        Spot { path: place.path.to_owned(), meminfo: place.meminfo }
    }

    fn place(&self) -> Place<'_> {
        Place { root: Path::new("/"), path: &self.path, meminfo: self.meminfo }
    }
}

impl Container {
    /// Tells the node which process is the container's init: when that ends the
    /// container does. With a place, puts the view into its /proc, and the
    /// container reads its own beancounters there. A view can be given later,
    /// for the same process.
    ///
    /// With a view, a thread enters the container's mount namespace and ends
    /// again, and another one serves the view. The view is taken away with the
    /// container's owner; a process that has it open gets ENOTCONN from then on.
    ///
    /// # Errors
    ///
    /// No such process, or it is in another cgroup; the container has an init
    /// or a view already ([`ErrorKind::InUse`]); no FUSE here
    /// ([`ErrorKind::Unavailable`]); the container has ended; or the kernel
    /// refused a step. Nothing has changed, then.
    pub fn attach(self: &Arc<Self>, pid: u32, place: Option<&Place<'_>>) -> Result<()> {
        let roster = self.roster.upgrade().ok_or_else(|| self.gone())?;
        // In this order everywhere; held, so that it does not end meanwhile.
        let cgroup = self.cgroup.lock();
        let mut attached = self.attached.lock();
        let cgroup = cgroup.as_ref().ok_or_else(|| self.gone())?;
        match &*attached {
            Some(Attached { view: Some(_), .. }) => {
                let message = format!("container {} has the view already", self.id);
                return Err(Error::new(ErrorKind::InUse, message));
            }
            Some(Attached { spot: Some(_), .. }) => {
                let message = format!("container {} has the view again in a moment", self.id);
                return Err(Error::new(ErrorKind::InUse, message));
            }
            Some(Attached { process, .. }) if place.is_none() || process.pid() != pid => {
                let message =
                    format!("container {} has an init already, process {}", self.id, process.pid());
                return Err(Error::new(ErrorKind::InUse, message));
            }
            _ => {}
        }
        let failed = |error: &dyn std::fmt::Display| {
            Error::system(format!("container {}: {error}", self.id))
        };
        let process = ContainerProcess::open(pid).map_err(|error| self.no_view(&error))?;
        // Asked before its end is looked for, so that the answer is about the
        // process that is held.
        let (pids, _) = cgroup.pids(&Bounds::default()).map_err(|error| failed(&error))?;
        if !pids.contains(&pid) || !process.is_alive() {
            return Err(failed(&format!("process {pid} is not in its cgroup {}", self.name)));
        }
        // Without the process that is held here nothing is watched.
        roster.watch().add(self.id, process.pidfd()).map_err(|error| failed(&error))?;
        let before = self.keep_init(Some(&process));
        let view = place.map(|place| self.view(&process, place)).transpose();
        let view = view.inspect_err(|_| {
            if let Some(kept) = &self.kept {
                kept.let_go();
                kept.update(|state| state.init = before);
            }
        })?;
        *attached = Some(Attached { process, view, spot: place.map(Spot::of) });
        self.stands_with(pid);
        drop((attached, cgroup));
        roster.rank(false);
        Ok(())
    }

    fn view(self: &Arc<Self>, process: &ContainerProcess, place: &Place<'_>) -> Result<ProcView> {
        let source = Arc::new(Own::new(self));
        let keep = |view: &ViewState, parts: &[Part<'_>]| match &self.kept {
            Some(kept) => kept.hold(parts, |state| state.view = Some(view.clone())),
            None => Ok(()),
        };
        let keep = self.kept.as_ref().map(|_| &keep as ubc_procfs::Keep<'_>);
        let view = ProcView::attach_kept(self.id, process, place, source, keep)
            .map_err(|error| self.no_view(&error))?;
        if matches!(view.meminfo(), Meminfo::LeftToOther | Meminfo::Absent) {
            warn!("container {}: meminfo: {}", self.id, view.meminfo());
        }
        Ok(view)
    }

    /// Writes down which process is the init; which one was.
    fn keep_init(&self, process: Option<&ContainerProcess>) -> Option<Init> {
        let mut before = None;
        if let Some(kept) = &self.kept {
            let init = process.and_then(|process| {
                Some(Init { pid: process.pid(), start: process.start_time()? })
            });
            kept.update(|state| before = std::mem::replace(&mut state.init, init));
        }
        before
    }

    /// Goes on with the init and the view of a predecessor. A view that is not
    /// served any more, and cannot be, is put into the container again.
    pub(crate) fn attach_again(
        self: &Arc<Self>,
        process: ContainerProcess,
        state: &State,
        fds: ubc_procfs::Inherited<'_>,
        all_or_none: bool,
    ) -> Result<()> {
        let roster = self.roster.upgrade().ok_or_else(|| self.gone())?;
        let mut attached = self.attached.lock();
        roster.watch().add(self.id, process.pidfd()).map_err(|error| {
            Error::system(format!("container {}: cannot wait for its end: {error}", self.id))
        })?;
        let view = match &state.view {
            Some(view) => self.view_again(&process, view, fds, all_or_none)?,
            None => None,
        };
        if let Some(kept) = self.kept.as_ref().filter(|_| view.is_none()) {
            kept.let_go();
        }
        let spot = view.as_ref().and(state.view.as_ref()).map(|view| Spot::of(&view.place()));
        *attached = Some(Attached { process, view, spot });
        Ok(())
    }

    fn view_again(
        self: &Arc<Self>,
        process: &ContainerProcess,
        state: &ViewState,
        fds: ubc_procfs::Inherited<'_>,
        all_or_none: bool,
    ) -> Result<Option<ProcView>> {
        match ProcView::take_over(self.id, state, fds, Arc::new(Own::new(self))) {
            Ok(view) if view.is_served() => return Ok(Some(view)),
            Ok(_) => {
                warn!("container {}: its view was unmounted meanwhile", self.id);
                return Ok(None);
            }
            // Readers wait for it.
            Err(error) if all_or_none && may_pass(&error) => {
                return Err(Error::system(format!("container {}: {error}", self.id)));
            }
            Err(error) => debug!("container {}: {error}", self.id),
        }
        // Where the last one took it away with it there is nothing to clear.
        if let Err(error) = ProcView::clear(state, process) {
            debug!("container {}: {error}", self.id);
        }
        let again = self.view(process, &state.place());
        Ok(again.inspect_err(|error| warn!("no view any more: {error}")).ok())
    }

    /// Takes the view away, for a process that ends without a successor. A
    /// later one puts it back.
    pub(crate) fn suspend(&self) {
        let mut attached = self.attached.lock();
        let Some(Attached { process, view, .. }) = attached.as_mut() else { return };
        let Some(view) = view.take().filter(|_| process.is_alive()) else { return };
        if let Err(error) = view.detach(process) {
            warn!("container {}: {error}", self.id);
        }
    }

    /// Takes the view away for as long as what is returned lives, for whoever has to find the
    /// runtime's own /proc there, as CRIU. Limits and counts go on, and a process that ends
    /// meanwhile leaves it to its successor to put the view back. `None` if the container has
    /// no view.
    ///
    /// # Errors
    ///
    /// Something else is mounted over the view, or the init has ended.
    pub fn uncover(self: &Arc<Self>) -> Result<Option<Uncovered>> {
        let mut attached = self.attached.lock();
        let Some(Attached { process, view, .. }) = attached.as_mut() else { return Ok(None) };
        let Some(view) = view.take() else { return Ok(None) };
        if let Some(kept) = &self.kept {
            kept.release();
        }
        view.detach(process).map_err(|error| self.no_view(&error))?;
        Ok(Some(Uncovered(Arc::clone(self))))
    }

    /// Puts the view back where it was.
    fn cover(self: &Arc<Self>) {
        let mut attached = self.attached.lock();
        let Some(Attached { process, view, spot }) = attached.as_mut() else { return };
        let Some(place) = spot.clone().filter(|_| view.is_none() && process.is_alive()) else {
            return;
        };
        match self.view(process, &place.place()) {
            Ok(again) => *view = Some(again),
            Err(error) if !process.is_alive() => debug!("{error}"),
            Err(error) => {
                warn!("no view any more: {error}");
                // Whoever asks for one can have it.
                *spot = None;
            }
        }
    }

    fn no_view(&self, error: &AttachError) -> Error {
        let kind = match error {
            AttachError::NoProcess { .. } => ErrorKind::NotFound,
            AttachError::NoFuse { .. } => ErrorKind::Unavailable,
            AttachError::AlreadyAttached { .. } | AttachError::Covered { .. } => ErrorKind::InUse,
            _ => ErrorKind::System,
        };
        Error::new(kind, format!("container {}: {error}", self.id))
    }
}

/// A container without its view for a while: [`Container::uncover`]. On drop the view is
/// back, unless the container has ended.
#[derive(Debug)]
pub struct Uncovered(Arc<Container>);

impl Drop for Uncovered {
    fn drop(&mut self) {
        self.0.cover();
    }
}
