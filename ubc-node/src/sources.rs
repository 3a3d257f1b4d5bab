//! What the views may know: a container itself, the host everyone.
//!
//! They hold weak references: a view lives in a thread that ends with the
//! last mount, and must not keep a container alive that keeps the view.

use std::io;
use std::sync::{Arc, Weak};

use ubc_core::{ContainerId, Reading};
use ubc_procfs::Source;
use ubc_procfs::text::meminfo::HostMemory;

use crate::container::Container;
use crate::node::Roster;

/// One container's own numbers.
pub(crate) struct Own {
    id: ContainerId,
    container: Weak<Container>,
}

impl Own {
    pub(crate) fn new(container: &Arc<Container>) -> Own {
        Own { id: container.id(), container: Arc::downgrade(container) }
    }
}

impl Source for Own {
    fn ids(&self) -> Vec<ContainerId> {
        vec![self.id]
    }

    fn reading(&self, id: ContainerId) -> io::Result<Reading> {
        let container = self.container.upgrade().filter(|c| c.id() == id);
        container.ok_or(io::ErrorKind::NotFound)?.reading_for_readers()
    }

    fn host_memory(&self) -> io::Result<HostMemory> {
        Ok(crate::claims::memory())
    }
}

/// The numbers of every container.
pub(crate) struct Everyone(Weak<Roster>);

impl Everyone {
    pub(crate) fn new(roster: &Arc<Roster>) -> Everyone {
        Everyone(Arc::downgrade(roster))
    }
}

impl Source for Everyone {
    fn ids(&self) -> Vec<ContainerId> {
        let containers = self.0.upgrade().map(|roster| roster.containers()).unwrap_or_default();
        containers.iter().map(|container| container.id()).collect()
    }

    fn reading(&self, id: ContainerId) -> io::Result<Reading> {
        let container = self.0.upgrade().and_then(|roster| roster.find(id));
        container.ok_or(io::ErrorKind::NotFound)?.reading_for_readers()
    }

    fn readings(&self) -> io::Result<Vec<Reading>> {
        self.0.upgrade().map_or_else(|| Ok(Vec::new()), |roster| roster.readings())
    }
}
