//! The memory and pids controllers' files, kept open.

use std::os::fd::BorrowedFd;
use std::path::Path;

use ubc_core::{Observation, Resource};

use super::{Finding, Findings, Meter, Pass, Rank};
use crate::files::KeptFile;
use crate::parse;
use crate::{Bound, Error, Result};

/// Whatever files the cgroup has; a kernel without `memory.peak` (before
/// 5.19) or `memory.swap.peak` (before 6.5) gives no peak.
#[derive(Debug)]
pub(crate) struct Controllers {
    memory: Usage,
    swap: Usage,
    pids: Usage,
    memory_stat: Option<KeptFile>,
    page: u64,
    buffer: Vec<u8>,
}

/// The files of one counted thing.
#[derive(Debug)]
struct Usage {
    current: Option<KeptFile>,
    peak: Option<KeptFile>,
    events: Option<KeptFile>,
}

impl Usage {
    fn open(dir: BorrowedFd<'_>, at: &Path, prefix: &str) -> Result<Usage> {
        let file = |name: &str| KeptFile::open(dir, at, &format!("{prefix}.{name}"));
        Ok(Usage { current: file("current")?, peak: file("peak")?, events: file("events")? })
    }
}

impl Controllers {
    /// Opens what is there. `dir` is the cgroup, or a directory that looks
    /// like one.
    pub(crate) fn open(dir: BorrowedFd<'_>, at: &Path) -> Result<Controllers> {
        Ok(Controllers {
            memory: Usage::open(dir, at, "memory")?,
            swap: Usage::open(dir, at, "memory.swap")?,
            pids: Usage::open(dir, at, "pids")?,
            memory_stat: KeptFile::open(dir, at, "memory.stat")?,
            page: rustix::param::page_size() as u64,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Reads every file once.
    pub(crate) fn find(&mut self, findings: &mut Findings) -> Result<()> {
        let buffer = &mut self.buffer;
        let memory = number(self.memory.current.as_ref(), buffer)?;
        let memory_peak = number(self.memory.peak.as_ref(), buffer)?;
        let [oom, oom_kill] = keys(self.memory.events.as_ref(), ["oom", "oom_kill"], buffer)?;
        let swap = number(self.swap.current.as_ref(), buffer)?;
        let swap_peak = number(self.swap.peak.as_ref(), buffer)?;
        let [swap_max] = keys(self.swap.events.as_ref(), ["max"], buffer)?;
        let pids = number(self.pids.current.as_ref(), buffer)?;
        let pids_peak = number(self.pids.peak.as_ref(), buffer)?;
        let [pids_max] = keys(self.pids.events.as_ref(), ["max"], buffer)?;
        let names = [
            "kernel",
            "slab",
            "kernel_stack",
            "pagetables",
            "sec_pagetables",
            "percpu",
            "sock",
            "vmalloc",
            "shmem",
            "anon",
            "unevictable",
            "slab_reclaimable",
        ];
        let [
            kernel,
            slab,
            stack,
            pagetables,
            sec_pagetables,
            percpu,
            sock,
            vmalloc,
            shmem,
            anon,
            unevictable,
            reclaimable,
        ] = keys(self.memory_stat.as_ref(), names, buffer)?;

        let page = self.page;
        let mut add = |resource, held: Option<u64>, peak, failures, source: &'static str, bound| {
            if held.is_some() {
                let observation = Observation { held, peak, failures };
                let source = source.into();
                findings.add(resource, Finding { observation, rank: Rank::Kernel, source, bound });
            }
        };
        let pages = |bytes: Option<u64>| bytes.map(|bytes| bytes.div_ceil(page));
        add(
            Resource::PhysPages,
            pages(memory),
            pages(memory_peak),
            oom,
            "memory.current",
            Bound::Exact,
        );
        add(
            Resource::SwapPages,
            pages(swap),
            pages(swap_peak),
            swap_max,
            "memory.swap.current",
            Bound::Exact,
        );
        add(Resource::NumProc, pids, pids_peak, pids_max, "pids.current", Bound::Exact);
        // `kernel` exists since 5.18; before, its parts have to do.
        let parts = slab.map(|slab| {
            [stack, pagetables, sec_pagetables, percpu, sock, vmalloc]
                .into_iter()
                .flatten()
                .fold(slab, u64::saturating_add)
        });
        match kernel {
            Some(_) => {
                add(Resource::KmemSize, kernel, None, None, "memory.stat kernel", Bound::Near);
            }
            None => {
                add(Resource::KmemSize, parts, None, None, "memory.stat slab+...", Bound::Lower);
            }
        }
        add(Resource::ShmPages, pages(shmem), None, None, "memory.stat shmem", Bound::Near);
        add(
            Resource::DcacheSize,
            reclaimable,
            None,
            None,
            "memory.stat slab_reclaimable",
            Bound::Upper,
        );
        let promised = anon.map(|anon| {
            anon.saturating_add(unevictable.unwrap_or(0)).saturating_add(swap.unwrap_or(0))
        });
        add(
            Resource::OomGuarPages,
            pages(promised),
            None,
            oom_kill,
            "memory.stat anon+...",
            Bound::Near,
        );
        Ok(())
    }
}

impl Meter for Controllers {
    fn name(&self) -> &'static str {
        "cgroup controllers"
    }

    fn read(&mut self, _: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        self.find(findings)
    }
}

/// A file with one number.
fn number(file: Option<&KeptFile>, buffer: &mut Vec<u8>) -> Result<Option<u64>> {
    let Some(file) = file else { return Ok(None) };
    parse::limit(file.read(buffer)?).map_err(|error| Error::parse(file.path(), error))
}

/// Some lines of a flat keyed file.
fn keys<const N: usize>(
    file: Option<&KeptFile>,
    names: [&str; N],
    buffer: &mut Vec<u8>,
) -> Result<[Option<u64>; N]> {
    let Some(file) = file else { return Ok([None; N]) };
    parse::values(file.read(buffer)?, names).map_err(|error| Error::parse(file.path(), error))
}

#[cfg(test)]
mod tests;
