//! What a container's place in the out-of-memory order depends on.

use ubc_core::{PerResource, Resource, Row};

use crate::files::KeptFile;
use crate::parse::{self, Stat};
use crate::{Cgroup, Error, Result};

/// The memory of a container that counts against its guarantee, from two
/// files that stay open: 8 us, where all meters take milliseconds. While
/// memory runs out there is no time for those.
#[derive(Debug)]
pub struct Draft {
    stat: KeptFile,
    swap: Option<KeptFile>,
    page: u64,
    buffer: Vec<u8>,
}

impl Draft {
    /// Opens what is needed; `None` for a cgroup without the memory
    /// controller.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn open(cgroup: &Cgroup) -> Result<Option<Draft>> {
        let file = |name| KeptFile::open(cgroup.as_dir(), cgroup.path(), name);
        let Some(stat) = file("memory.stat")? else { return Ok(None) };
        let page = rustix::param::page_size() as u64;
        let swap = file("memory.swap.current")?;
        Ok(Some(Draft { stat, swap, page, buffer: Vec::with_capacity(4096) }))
    }

    /// The rows [`ubc_core::guarantee::overdraft`] adds up, with held only:
    /// oomguarpages and kmemsize as the meters have them, and all socket
    /// buffers in othersockbuf, since only their sum matters here.
    ///
    /// # Errors
    ///
    /// The cgroup is gone.
    pub fn read(&mut self) -> Result<PerResource<Row>> {
        let swap = match &self.swap {
            Some(file) => parse::limit(file.read(&mut self.buffer)?)
                .map_err(|error| Error::parse(file.path(), error))?,
            None => None,
        };
        let stat = Stat::parse(self.stat.read(&mut self.buffer)?)
            .map_err(|error| Error::parse(self.stat.path(), error))?;
        let bytes = |names: &[&str]| {
            names.iter().filter_map(|name| stat.get(name)).fold(0, u64::saturating_add)
        };
        let kernel = stat.get("kernel");
        let parts = || {
            bytes(&["slab", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "vmalloc"])
        };
        let memory = bytes(&["anon", "unevictable"]).saturating_add(swap.unwrap_or(0));
        let mut rows = PerResource::from_fn(|_| Row::default());
        rows[Resource::OomGuarPages].held = memory.div_ceil(self.page);
        rows[Resource::KmemSize].held = kernel.unwrap_or_else(parts);
        rows[Resource::OtherSockBuf].held = bytes(&["sock"]);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_only_a_kill_would_free_is_counted_and_page_cache_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let read = |stat: &str, swap: &str| {
            fs::write(dir.path().join("memory.stat"), stat).unwrap();
            fs::write(dir.path().join("memory.swap.current"), swap).unwrap();
            let handle = fs::File::open(dir.path()).unwrap();
            let file = |name| KeptFile::open(handle.as_fd(), dir.path(), name).unwrap();
            let (stat, swap) = (file("memory.stat").unwrap(), file("memory.swap.current"));
            let mut draft = Draft { stat, swap, page: 4096, buffer: Vec::new() };
            let rows = draft.read().unwrap();
            [Resource::OomGuarPages, Resource::KmemSize, Resource::OtherSockBuf]
                .map(|resource| rows[resource].held)
        };
        let stat = "anon 40960\nfile 999999999\nkernel 5000\nsock 70\nslab 4000\nunevictable 1\n";
        assert_eq!(read(stat, "8192\n"), [13, 5000, 70]);
        // Before Linux 5.18 its parts are there, and nothing else.
        let stat = "anon 4096\nkernel_stack 16\nslab 4\npagetables 1\npercpu 2\n";
        assert_eq!(read(stat, "0\n"), [1, 23, 0]);
    }
}
