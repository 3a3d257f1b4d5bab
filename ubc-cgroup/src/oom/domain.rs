//! Which memory a container can run out of.

use procfs::{Current, Meminfo};

use crate::{Cgroup, Error, Result, files, parse};

/// The machine, or a cgroup above a container's own that has a limit of
/// memory. What happens at the container's own limit is between its own
/// processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The cgroup, below the mount; `None` for the machine.
    pub name: Option<String>,
    /// Memory and swap that there are in it, in pages, at least 1. Thousandths
    /// of this are the unit of `oom_score_adj`.
    pub pages: u64,
}

impl Domain {
    /// Every domain of a cgroup, the machine last.
    ///
    /// # Errors
    ///
    /// A parent's limits or `/proc/meminfo` cannot be read.
    pub fn all(cgroup: &Cgroup) -> Result<Vec<Domain>> {
        let page = rustix::param::page_size() as u64;
        let memory = Meminfo::current()
            .map_err(|error| Error::io("read", "/proc/meminfo", std::io::Error::other(error)))?;
        let swap = memory.swap_total;
        let pages = |bytes: u64| (bytes / page).max(1);
        let mut domains = Vec::new();
        let mut name = cgroup.name().as_str();
        while let Some((parent, _)) = name.rsplit_once('/') {
            name = parent;
            if let Some(max) = limit(cgroup, name, "memory.max")? {
                let swap_max = limit(cgroup, name, "memory.swap.max")?.unwrap_or(swap).min(swap);
                let pages = pages(max.saturating_add(swap_max));
                domains.push(Domain { name: Some(name.to_owned()), pages });
            }
        }
        let pages = pages(memory.mem_total.saturating_add(swap));
        domains.push(Domain { name: None, pages });
        Ok(domains)
    }
}

/// A limit in bytes; `None` where there is none, or no such file.
fn limit(cgroup: &Cgroup, name: &str, file: &str) -> Result<Option<u64>> {
    let path = format!("{name}/{file}");
    match files::read(cgroup.root(), &path) {
        Ok(text) => parse::limit(&text).map_err(|error| Error::parse(&path, error)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}
