//! What passes over the machine's tasks count, as a meter.

use std::sync::Arc;

use ubc_bpf::{Files, Look, Sight};
use ubc_core::{Observation, PerResource, Resource};

use super::Account;
use crate::meter::files_rows;
use crate::{Bound, Finding, Findings, Meter, Metered, Pass, Rank, Result, RowStatus};

const TASKS: &str = "bpf iter/task";

/// Rows that a pass finds, and how near it comes; docs/meters.md says what it
/// misses. Of privvmpages it has the greater part, which the meter of
/// processes completes.
const ROWS: [(Resource, Bound); 11] = [
    (Resource::NumProc, Bound::Exact),
    (Resource::LockedPages, Bound::Near),
    (Resource::PrivvmPages, Bound::Near),
    (Resource::NumFile, Bound::Near),
    (Resource::NumPty, Bound::Near),
    (Resource::NumTcpSock, Bound::Lower),
    (Resource::NumOtherSock, Bound::Lower),
    (Resource::TcpSndBuf, Bound::Near),
    (Resource::TcpRcvBuf, Bound::Near),
    (Resource::OtherSockBuf, Bound::Near),
    (Resource::DgramRcvBuf, Bound::Near),
];

/// Says which rows a pass will measure. The kernel's own counts are better.
pub(super) fn improve(rows: &mut PerResource<RowStatus>) {
    for (resource, bound) in ROWS {
        let source = match resource {
            Resource::PrivvmPages => "bpf iter/task + shmpages",
            _ => TASKS,
        };
        let metered = &mut rows[resource].metered;
        let is_counted = matches!(metered, Metered::By { source, .. } if source == "pids.current");
        if !is_counted {
            *metered = Metered::By { source: source.into(), bound };
        }
    }
}

/// Looks at a container's tasks, for the rows that nothing better has. As long as
/// there is one, passes over all containers include its own.
pub(super) struct Observed(Arc<Account>);

impl Observed {
    pub(super) fn new(account: Arc<Account>) -> Observed {
        if let Some(observer) = account.programs().observer() {
            observer.expect(account.slot());
        }
        Observed(account)
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.0.unmetered();
    }
}

impl Meter for Observed {
    fn name(&self) -> &'static str {
        "passes over tasks"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let lacks = |resource: Resource| !findings.has(resource);
        let look = Look {
            memory: lacks(Resource::LockedPages) || lacks(Resource::PrivvmPages),
            files: files_rows().any(lacks),
            surroundings: files_rows().any(lacks)
                || lacks(Resource::NumSigInfo)
                || lacks(Resource::NumIptEnt)
                || lacks(Resource::ShmPages),
        };
        if look == Look::default() && !lacks(Resource::NumProc) {
            return Ok(());
        }
        if let Some(sight) = pass.round().look(self.0.programs(), self.0.slot(), look) {
            add(sight, findings);
        }
        Ok(())
    }
}

fn add(sight: Sight, findings: &mut Findings) {
    let mut found = |resource: Resource, held: Option<u64>| {
        let bound = ROWS.iter().find(|(row, _)| *row == resource).map(|(_, bound)| *bound);
        if let (Some(held), Some(bound)) = (held, bound) {
            let observation = Observation::held(held);
            let finding = Finding { observation, rank: Rank::Pass, source: TASKS.into(), bound };
            findings.add(resource, finding);
        }
    };
    found(Resource::NumProc, sight.tasks);
    found(Resource::LockedPages, sight.memory.map(|memory| memory.locked_pages));
    let files = |of: fn(Files) -> u64| sight.files.map(of);
    found(Resource::NumFile, files(|f| f.files));
    found(Resource::NumPty, files(|f| f.ptys));
    found(Resource::NumTcpSock, files(|f| f.tcp_sockets));
    found(Resource::NumOtherSock, files(|f| f.other_sockets));
    found(Resource::TcpSndBuf, files(|f| f.tcp_send));
    found(Resource::TcpRcvBuf, files(|f| f.tcp_receive));
    found(Resource::OtherSockBuf, files(|f| f.other_send));
    found(Resource::DgramRcvBuf, files(|f| f.other_receive));
    // Elsewhere on the machine there may be locks that only descriptors show.
    if sight.files.is_some_and(|files| files.locked_files == 0) {
        findings.set_lockless();
    }
    if let Some(memory) = sight.memory {
        findings.set_private(memory.private_pages);
    }
    findings.set_surroundings(sight.surroundings);
}
