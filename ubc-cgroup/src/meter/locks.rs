//! numflock, from `/proc/locks`.
//!
//! One read of the whole machine's locks costs 5 us on an idle machine, far
//! less than the fdinfo of every descriptor. Locks name the process that made
//! them, except OFD locks and the `flock`s of processes that are gone; only
//! when such exist are the fdinfos read.

use std::collections::HashSet;

use ubc_core::Resource;

use super::{Findings, Meter, Pass};
use crate::parse::{self, LockKind};
use crate::walk::Distinct;
use crate::{Bound, Result, files};

/// The machine's locks at the start of a reading.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    locks: Vec<parse::Lock>,
    /// Some lock can only be found through the file that holds it.
    pub(super) needs_fdinfo: bool,
}

/// Reads `/proc/locks`, unless a better meter has the row.
pub(super) fn snapshot(findings: &Findings) -> Result<Snapshot> {
    if findings.has(Resource::NumFlock) {
        return Ok(Snapshot::default());
    }
    let locks = parse::locks(&files::read_path("/proc/locks")?);
    let needs_fdinfo = !findings.is_lockless()
        && locks.iter().any(|lock| match lock.pid {
            None => true,
            Some(pid) => {
                lock.kind == LockKind::Flock
                    && !std::path::Path::new(&format!("/proc/{pid}")).exists()
            }
        });
    Ok(Snapshot { locks, needs_fdinfo })
}

/// Locks of the container's processes.
#[derive(Debug)]
pub(crate) struct Locks;

impl Meter for Locks {
    fn name(&self) -> &'static str {
        "/proc/locks"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let Some(snapshot) = findings.take_locks() else { return Ok(()) };
        let pids: HashSet<u32> = pass.walk().tasks.iter().map(|task| task.pid).collect();
        let by_process =
            snapshot.locks.iter().filter(|lock| lock.pid.is_some_and(|pid| pids.contains(&pid)));
        let mut held = by_process.count() as u64;
        let mut bound = Bound::Exact;
        if snapshot.needs_fdinfo {
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
