//! The view in a container's /proc.

use std::sync::Arc;

use log::warn;
use ubc_cgroup::Bounds;
use ubc_procfs::{AttachError, ContainerProcess, Meminfo, Place, ProcView};

use super::super::conversation::no_container;
use super::super::sources::Own;
use super::super::watch::Watch;
use super::Container;
use crate::error::{Failure, Kind, Result};

/// A container's init and the view in its /proc.
pub(super) struct Attached {
    pub(super) process: ContainerProcess,
    pub(super) view: ProcView,
}

impl Container {
    /// Puts the view into its /proc and waits for the end of its init.
    pub(in crate::daemon) fn attach(
        self: &Arc<Self>,
        pid: u32,
        place: &Place<'_>,
        watch: &Watch,
    ) -> Result<()> {
        // In this order everywhere; held, so that it does not end meanwhile.
        let cgroup = self.cgroup.lock();
        let mut attached = self.attached.lock();
        let cgroup = cgroup.as_ref().ok_or_else(|| no_container(self.id))?;
        if attached.is_some() {
            let message = format!("container {} has the view already", self.id);
            return Err(Failure::new(Kind::InUse, message));
        }
        let failed = |error: &dyn std::fmt::Display| {
            Failure::system(format!("container {}: {error}", self.id))
        };
        let process = ContainerProcess::open(pid).map_err(|error| self.no_view(&error))?;
        // Asked before its end is looked for, so that the answer is about the
        // process that is held.
        let (pids, _) = cgroup.pids(&Bounds::default()).map_err(|error| failed(&error))?;
        if !pids.contains(&pid) || !process.is_alive() {
            return Err(failed(&format!("process {pid} is not in its cgroup {}", self.name)));
        }
        let source = Arc::new(Own::new(self));
        let view = ProcView::attach(self.id, &process, place, source)
            .map_err(|error| self.no_view(&error))?;
        if matches!(view.meminfo(), Meminfo::LeftToOther | Meminfo::Absent) {
            warn!("container {}: meminfo: {}", self.id, view.meminfo());
        }
        watch.add(self.id, process.pidfd()).map_err(|error| failed(&error))?;
        *attached = Some(Attached { process, view });
        self.stands_with(pid);
        Ok(())
    }

    fn no_view(&self, error: &AttachError) -> Failure {
        let kind = match error {
            AttachError::NoProcess { .. } => Kind::NoContainer,
            AttachError::NoFuse { .. } => Kind::Unavailable,
            AttachError::AlreadyAttached { .. } | AttachError::Covered { .. } => Kind::InUse,
            _ => Kind::System,
        };
        Failure::new(kind, format!("container {}: {error}", self.id))
    }
}
