//! shmpages. System V segments of the container's own IPC namespaces count at
//! their whole size as in 042stab: to what the memory controller charged,
//! the part nobody touched yet is added. Without the controller it is those
//! segments and what the container's tmpfs mounts hold; memfds and shared
//! anonymous memory are then not seen.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::fd::AsFd;

use rustix::thread::LinkNameSpaceType;
use ubc_core::Resource;

use super::netns::inside;
use super::{Findings, Meter, Pass, Rank};
use crate::walk::{IpcNamespace, NsId};
use crate::{Bound, Error, Result, files, parse};

mod tmpfs;

#[derive(Debug, Default)]
pub(crate) struct Shm {
    /// `/proc/sysvipc/shm` of each namespace: the file shows the namespace
    /// of whoever opened it, whoever reads it.
    segments: BTreeMap<NsId, File>,
    tmpfs: tmpfs::Prober,
}

impl Meter for Shm {
    fn name(&self) -> &'static str {
        "shm"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        if findings.is_from(Resource::ShmPages, Rank::Program) {
            return Ok(());
        }
        let namespaces = &pass.walk().namespaces;
        self.segments.retain(|id, _| namespaces.ipc.contains_key(id));
        let page = rustix::param::page_size() as u64;
        let (mut pages, mut untouched) = (0, 0);
        for (id, namespace) in &namespaces.ipc {
            for segment in self.system_v(*id, namespace)? {
                let whole = segment.size.div_ceil(page);
                pages += whole;
                untouched += whole.saturating_sub(segment.backed.div_ceil(page));
            }
        }
        if findings.has(Resource::ShmPages) {
            findings.raise(Resource::ShmPages, untouched, "memory.stat shmem + SysV");
            return Ok(());
        }
        let mut counted = HashSet::new();
        for namespace in namespaces.mnt.values() {
            let root = namespace
                .root
                .try_clone()
                .map_err(|error| Error::io("duplicate", "/proc/PID/root", error))?;
            let Some(bytes) = self.tmpfs.used(root, &namespace.mountinfo, &mut counted)? else {
                findings.absent(Resource::ShmPages, "a tmpfs of the container does not answer");
                return Ok(());
            };
            pages += bytes.div_ceil(page);
        }
        let source = "SysV shm + tmpfs";
        findings.fallback(Resource::ShmPages, pages, source, Bound::Lower);
        Ok(())
    }
}

impl Shm {
    fn system_v(&mut self, id: NsId, namespace: &IpcNamespace) -> Result<Vec<parse::Segment>> {
        const PATH: &str = "/proc/sysvipc/shm";
        let file = match self.segments.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kind = LinkNameSpaceType::InterProcessCommunication;
                match inside(namespace.handle.as_fd(), kind, || File::open(PATH)) {
                    Ok(file) => entry.insert(file),
                    // A kernel without System V IPC.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(Error::io("open", PATH, error)),
                }
            }
        };
        let mut text = Vec::new();
        files::read_into(file.as_fd(), &mut text)
            .map_err(|error| Error::io("read", PATH, error))?;
        parse::shm_segments(&text).map_err(|error| Error::parse(PATH, error))
    }
}
