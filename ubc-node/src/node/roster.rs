//! The containers of a node.

use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use ubc_cgroup::{Host, Programs};
use ubc_core::{ContainerId, Registry, Snapshot};

use super::Lifecycle;
use crate::container::Container;
use crate::oom::Pressures;
use crate::watch::Watch;

/// The containers of a node, and what their ends concern.
///
/// The node's threads, its containers and their views hold this, and never the
/// node: only so is the last handle of a node always its user's, whose drop has
/// closed everything when it returns.
pub(crate) struct Roster {
    pub(super) host: Host,
    /// None: this kernel takes none.
    pub(super) programs: Option<Arc<Programs>>,
    pub(super) lifecycle: Option<Arc<dyn Lifecycle>>,
    pub(super) registry: Registry,
    pub(super) watch: Watch,
    pub(super) pressures: Arc<Pressures>,
    /// Held while the out-of-memory order is made.
    pub(super) ranking: Mutex<()>,
    /// Newest last.
    containers: Mutex<Vec<Arc<Container>>>,
}

impl Roster {
    pub(super) fn new(
        host: Host,
        programs: Option<Arc<Programs>>,
        lifecycle: Option<Arc<dyn Lifecycle>>,
    ) -> io::Result<Roster> {
        Ok(Roster {
            host,
            programs,
            lifecycle,
            registry: Registry::new(),
            watch: Watch::new()?,
            pressures: Pressures::new()?,
            ranking: Mutex::default(),
            containers: Mutex::default(),
        })
    }

    /// Those that have not ended, newest first.
    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        let containers = self.list();
        containers.iter().rev().filter(|container| !container.has_ended()).cloned().collect()
    }

    /// The container with this id, if it has not ended.
    pub(crate) fn find(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.entry(id).filter(|container| !container.has_ended())
    }

    pub(super) fn entry(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.list().iter().find(|container| container.id() == id).cloned()
    }

    /// All of them, while nobody else changes who they are.
    pub(super) fn list(&self) -> MutexGuard<'_, Vec<Arc<Container>>> {
        self.containers.lock()
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn snapshot_of(&self, id: ContainerId) -> Snapshot {
        self.registry.snapshot_of(id)
    }
}
