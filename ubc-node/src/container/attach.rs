//! A container's init, and the view in its /proc.

use std::sync::Arc;

use log::warn;
use ubc_cgroup::Bounds;
use ubc_procfs::{AttachError, ContainerProcess, Meminfo, Place, ProcView};

use super::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::sources::Own;

/// A container's init and the view in its /proc.
pub(super) struct Attached {
    pub(super) process: ContainerProcess,
    /// None if nobody asked for one.
    pub(super) view: Option<ProcView>,
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
        let node = self.node.upgrade().ok_or_else(|| self.gone())?;
        // In this order everywhere; held, so that it does not end meanwhile.
        let cgroup = self.cgroup.lock();
        let mut attached = self.attached.lock();
        let cgroup = cgroup.as_ref().ok_or_else(|| self.gone())?;
        match &*attached {
            Some(Attached { view: Some(_), .. }) => {
                let message = format!("container {} has the view already", self.id);
                return Err(Error::new(ErrorKind::InUse, message));
            }
            Some(Attached { process, view: None }) if place.is_none() || process.pid() != pid => {
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
        node.watch().add(self.id, process.pidfd()).map_err(|error| failed(&error))?;
        let view = place.map(|place| self.view(&process, place)).transpose()?;
        *attached = Some(Attached { process, view });
        self.stands_with(pid);
        drop((attached, cgroup));
        node.rank(false);
        Ok(())
    }

    fn view(self: &Arc<Self>, process: &ContainerProcess, place: &Place<'_>) -> Result<ProcView> {
        let source = Arc::new(Own::new(self));
        let view = ProcView::attach(self.id, process, place, source)
            .map_err(|error| self.no_view(&error))?;
        if matches!(view.meminfo(), Meminfo::LeftToOther | Meminfo::Absent) {
            warn!("container {}: meminfo: {}", self.id, view.meminfo());
        }
        Ok(view)
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
