//! Containers end, and the node does.

use std::sync::Arc;

use log::{debug, info, warn};
use ubc_core::ContainerId;

use super::Node;
use super::roster::Roster;
use crate::Container;

impl Roster {
    /// The init of a container has ended. Its id stays in use as long as its
    /// owner is still clearing up.
    pub(super) fn ended(&self, id: ContainerId) {
        // A container that got the id of one just released lives.
        if let Some(container) = self.entry(id).filter(|container| !container.lives()) {
            container.end_or_warn();
            if !container.is_owned() {
                self.forget(&container);
            }
        }
    }

    /// A container's owner has nothing more to do with it: one that is to live
    /// on does, anything else goes.
    pub(super) fn disown(&self, container: &Arc<Container>, runs: bool) {
        container.disown();
        if !runs {
            container.end_or_warn();
        }
        if container.has_ended() {
            self.forget(container);
        }
    }

    /// Takes an ended container off the list; its id is free again then.
    pub(super) fn forget(&self, container: &Arc<Container>) {
        let id = container.id();
        container.once_forgotten(|| {
            if let Some(lifecycle) = &self.lifecycle {
                lifecycle.ending(id);
            }
            self.list().retain(|other| !Arc::ptr_eq(other, container));
            self.unregister(id);
            info!("container {id}: removed");
            self.pressures.bell().ring();
        });
        if let Some(lifecycle) = &self.lifecycle {
            lifecycle.ended(id);
        }
    }

    pub(super) fn unregister(&self, id: ContainerId) {
        if let Err(error) = self.registry.remove(id) {
            warn!("container {id}: {error}");
        }
    }
}

impl Node {
    /// Puts back what nobody looks after from now on (the out-of-memory order),
    /// and takes away the cgroup that containers made here share, unless one is
    /// in it. Limits of containers that still run stay in force.
    ///
    /// To be called by a process that ends while other threads hold the node;
    /// otherwise dropping it is enough.
    pub fn close(&self) {
        for container in self.containers() {
            container.stand_down();
        }
        let path = self.host().mount().join(&self.options.cgroup);
        if let Err(error) = std::fs::remove_dir(&path) {
            debug!("cannot remove {}: {error}", path.display());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
        self.roster.watch().stop();
        self.roster.pressures.stop();
        // Closes the queue of refusals, which ends its thread.
        self.refusals = None;
        for thread in self.threads.drain(..) {
            // Whoever is told of an end may be the last to hold the node: here.
            let own = thread.thread().id() == std::thread::current().id();
            if !own && thread.join().is_err() {
                debug!("a thread of the node panicked");
            }
        }
    }
}
