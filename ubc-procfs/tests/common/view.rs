//! A view in a container's /proc, of numbers that change with each reading.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ubc_core::{ContainerId, PerResource, Reading, Resource, Row};
use ubc_procfs::text::meminfo::HostMemory;
use ubc_procfs::{ContainerProcess, Place, ProcView, Source};

use super::Container;

/// Counts its readings in numproc.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

pub(crate) fn ctid() -> ContainerId {
    ContainerId::new(101).unwrap()
}

impl Source for Counting {
    fn ids(&self) -> Vec<ContainerId> {
        vec![ctid()]
    }

    fn reading(&self, id: ContainerId) -> io::Result<Reading> {
        if id != ctid() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let held = self.0.fetch_add(1, Ordering::Relaxed);
        let rows = PerResource::from_fn(|resource| Row {
            held: if resource == Resource::NumProc { held } else { 0 },
            ..Row::default()
        });
        Ok(Reading { id, rows })
    }

    fn host_memory(&self) -> io::Result<HostMemory> {
        Ok(HostMemory { ram: 1 << 40, swap: 0, page: 4096 })
    }
}

pub(crate) fn attached(container: &Container) -> (ProcView, ContainerProcess) {
    let process = ContainerProcess::open(container.init).unwrap();
    let source = Arc::new(Counting::default());
    let view = ProcView::attach(ctid(), &process, &Place::default(), source).unwrap();
    (view, process)
}
