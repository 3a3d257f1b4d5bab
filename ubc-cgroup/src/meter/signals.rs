//! numsiginfo.
//!
//! The kernel counts queued signals for each user of each user namespace and
//! shows the count to each of that user's processes (`SigQ`). In a user
//! namespace of its own a container's counts are its own; without one the
//! count is shared with the host's processes of the same uid, and only the
//! pending masks are the container's: at least one record for each bit.

use std::collections::BTreeMap;

use ubc_bpf::User;
use ubc_core::Resource;

use super::{Findings, Meter, Pass};
use crate::walk::Task;
use crate::{Bound, Result};

#[derive(Debug)]
pub(crate) struct Signals;

impl Meter for Signals {
    fn name(&self) -> &'static str {
        "pending signals"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        if findings.has(Resource::NumSigInfo) {
            return Ok(());
        }
        if let Some(seen) = &pass.walk().surroundings {
            let is_own = |user: &&User| pass.own.is_foreign_user_inode(user.namespace);
            let queued = seen.users.iter().filter(is_own).map(|user| user.signals).sum::<u64>();
            let held = queued + seen.pending;
            let (source, bound) = match (seen.at_home, seen.users.iter().any(|user| is_own(&user)))
            {
                (0, _) => ("SigQ", Bound::Exact),
                (_, false) => ("pending bits", Bound::Lower),
                (_, true) => ("SigQ + pending bits", Bound::Lower),
            };
            findings.fallback(Resource::NumSigInfo, held, source, bound);
            return Ok(());
        }
        let mut counts = BTreeMap::new();
        let mut pending = 0;
        for task in &pass.walk().tasks {
            match task.user_ns {
                Some(ns) if pass.own.is_foreign_user(ns) => {
                    counts.insert((ns, task.status.uid), task.status.sigq);
                }
                _ => {
                    pending += task
                        .status
                        .pending
                        .iter()
                        .map(|mask| u64::from(mask.count_ones()))
                        .sum::<u64>();
                }
            }
        }
        let queued: u64 = counts.values().sum();
        let foreign = |task: &Task| task.user_ns.is_some_and(|ns| pass.own.is_foreign_user(ns));
        if pass.walk().tasks.iter().all(foreign) {
            findings.fallback(Resource::NumSigInfo, queued, "SigQ", Bound::Exact);
        } else {
            let source = if counts.is_empty() { "pending bits" } else { "SigQ + pending bits" };
            findings.fallback(Resource::NumSigInfo, queued + pending, source, Bound::Lower);
        }
        Ok(())
    }
}
