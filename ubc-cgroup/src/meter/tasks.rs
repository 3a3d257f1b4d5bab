//! Rows from the status and the memory maps of each process.

use std::collections::{BTreeMap, HashSet};

use ubc_core::{Observation, Resource};

use super::{Finding, Findings, Meter, Pass, Rank};
use crate::walk::{Distinct, Task};
use crate::{Bound, Result, sys};

/// Rows of what processes have in memory, for want of the memory controller.
const RESIDENT: [Resource; 3] = [Resource::SwapPages, Resource::PhysPages, Resource::OomGuarPages];

#[derive(Debug)]
pub(crate) struct Tasks {
    /// Whether the kernel lists children, so that zombies were found.
    pub(crate) zombies: bool,
}

impl Meter for Tasks {
    fn name(&self) -> &'static str {
        "/proc/PID"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let walk = pass.walk();
        let tasks = &walk.tasks;
        if !findings.has(Resource::NumProc) {
            let held = tasks.iter().map(|task| task.status.threads).sum::<u64>() + walk.zombies;
            let bound = if self.zombies { Bound::Exact } else { Bound::Lower };
            findings.fallback(Resource::NumProc, held, "threads + zombies", bound);
        }

        let seen = findings.private();
        if let Some(private) = seen {
            let (pages, source, bound) = match findings.held(Resource::ShmPages) {
                Some(shm) => (private + shm, "bpf iter/task + shmpages", Bound::Near),
                None => (private, "bpf iter/task", Bound::Lower),
            };
            let observation = Observation::held(pages);
            let finding = Finding { observation, rank: Rank::Pass, source: source.into(), bound };
            findings.add(Resource::PrivvmPages, finding);
        }
        if [Resource::LockedPages, Resource::PrivvmPages]
            .into_iter()
            .chain(RESIDENT)
            .all(|resource| findings.has(resource))
        {
            return Ok(());
        }
        let spaces = address_spaces(tasks, pass.bounds().comparisons);
        let sum = |value: fn(&Task) -> u64| spaces.iter().map(value).sum::<u64>();
        let locked = pages(sum(|task| task.status.vm_lck));
        findings.fallback(Resource::LockedPages, locked, "VmLck", Bound::Near);
        let swap = pages(sum(|task| task.status.vm_swap));
        // Swapped-out shared memory is in no process's VmSwap.
        findings.fallback(Resource::SwapPages, swap, "VmSwap", Bound::Lower);

        resident(&spaces, findings);
        if seen.is_some() {
            return Ok(());
        }
        let private = pages(sum(|task| task.status.vm_data.saturating_add(task.status.vm_stk)));
        match findings.held(Resource::ShmPages) {
            Some(shm) => {
                let source = "VmData + VmStk + shmpages";
                findings.fallback(Resource::PrivvmPages, private + shm, source, Bound::Near);
            }
            None => {
                findings.fallback(Resource::PrivvmPages, private, "VmData + VmStk", Bound::Lower);
            }
        }
        Ok(())
    }
}

/// One task for each address space: `vfork` and `clone(CLONE_VM)` make
/// processes that share one. Only those whose sizes agree are compared.
fn address_spaces(tasks: &[Task], comparisons: usize) -> Vec<Task> {
    let mut groups: BTreeMap<[u64; 4], Vec<u32>> = BTreeMap::new();
    for task in tasks {
        let s = task.status;
        groups.entry([s.vm_size, s.vm_data, s.vm_stk, s.vm_lck]).or_default().push(task.pid);
    }
    let mut distinct = Distinct::new(comparisons);
    let spaces: HashSet<u32> = groups
        .values()
        .flat_map(|pids| distinct.unique(pids, sys::compare_address_spaces))
        .collect();
    tasks.iter().filter(|task| spaces.contains(&task.pid)).copied().collect()
}

/// physpages and oomguarpages without the memory controller.
fn resident(spaces: &[Task], findings: &mut Findings) {
    let mut proportional = true;
    let (mut all, mut anon) = (0u64, 0u64);
    for task in spaces {
        if let Some(rollup) = task.rollup {
            // Pss divides each page by how often it is mapped, much as
            // OpenVZ split a page among its users.
            all += rollup.pss;
            anon += rollup.pss_anon.unwrap_or(task.status.rss_anon);
        } else {
            // A zombie leader has no memory; anything else kept us out.
            proportional &= task.status.vm_rss == 0;
            all += task.status.vm_rss;
            anon += task.status.rss_anon;
        }
        anon += task.status.vm_swap;
    }
    let (source, bound) = if proportional { ("Pss", Bound::Lower) } else { ("VmRSS", Bound::Near) };
    findings.fallback(Resource::PhysPages, pages(all), source, bound);
    let source = if proportional { "Pss_Anon + VmSwap" } else { "RssAnon + VmSwap" };
    findings.fallback(Resource::OomGuarPages, pages(anon), source, Bound::Near);
}

/// KiB to pages, rounded up.
fn pages(kib: u64) -> u64 {
    (kib.saturating_mul(1024)).div_ceil(rustix::param::page_size() as u64)
}
