//! numflock, from `/proc/locks`.
//!
//! One read of the whole machine's locks costs 5 us on an idle machine, far
//! less than the fdinfo of every descriptor. Locks name the process that made
//! them, except OFD locks and the `flock`s of processes that are gone; only
//! when such exist are the fdinfos read.

use std::collections::HashSet;

use ubc_core::Resource;

use super::{Findings, Meter, Pass, Round};
use crate::parse::{self, LockKind};
use crate::walk::Distinct;
use crate::{Bound, Result, files};

/// The machine's locks.
#[derive(Debug, Default)]
pub(super) struct Machine {
    locks: Vec<parse::Lock>,
    /// Some lock can only be found through the file that holds it.
    by_file: bool,
}

/// Reads `/proc/locks`.
pub(super) fn machine() -> Result<Machine> {
    let locks = parse::locks(&files::read_path("/proc/locks")?);
    let by_file = locks.iter().any(|lock| match lock.pid {
        None => true,
        Some(pid) => {
            lock.kind == LockKind::Flock && !std::path::Path::new(&format!("/proc/{pid}")).exists()
        }
    });
    Ok(Machine { locks, by_file })
}

/// Whether every fdinfo has to be looked through.
pub(super) fn needs_fdinfo(round: &Round<'_>, findings: &Findings) -> bool {
    let counted = findings.has(Resource::NumFlock) || findings.is_lockless();
    !counted && round.machine().is_ok_and(|machine| machine.by_file)
}

/// Locks of the container's processes.
#[derive(Debug)]
pub(crate) struct Locks;

impl Meter for Locks {
    fn name(&self) -> &'static str {
        "/proc/locks"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        if findings.has(Resource::NumFlock) {
            return Ok(());
        }
        let machine = match pass.round().machine() {
            Ok(machine) => machine,
            Err(why) => {
                findings.absent(Resource::NumFlock, why.to_owned());
                return Ok(());
            }
        };
        let mut held = 0;
        if machine.locks.iter().any(|lock| lock.pid.is_some()) {
            let Some(pids) = pass.walk().pids(pass.cgroup(), pass.bounds())? else {
                findings.absent(Resource::NumFlock, "too many processes");
                return Ok(());
            };
            let pids: HashSet<u32> = pids.into_iter().collect();
            let ours = |lock: &&parse::Lock| lock.pid.is_some_and(|pid| pids.contains(&pid));
            held = machine.locks.iter().filter(ours).count() as u64;
        }
        let mut bound = Bound::Exact;
        if machine.by_file && !findings.is_lockless() {
            let mut distinct = Distinct::new(pass.bounds().comparisons);
            let by_file = pass.walk().descriptors.file_locks(&mut distinct);
            held += by_file.number;
            if !by_file.exact {
                bound = Bound::Upper;
            }
        }
        findings.fallback(Resource::NumFlock, held, "/proc/locks", bound);
        Ok(())
    }
}
