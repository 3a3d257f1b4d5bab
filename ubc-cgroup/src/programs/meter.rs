//! The counts of the kernel's programs, as a meter.

use std::sync::Arc;

use ubc_bpf::Mechanism;
use ubc_core::{Observation, Resource};

use super::Account;
use crate::{Bound, Finding, Findings, Meter, Metered, Pass, Rank, Result};

/// How rows of a mechanism are measured.
pub(super) fn metered(mechanism: &'static Mechanism) -> Metered {
    Metered::By { source: format!("bpf {}", mechanism.name).into(), bound: Bound::Exact }
}

/// Reads a container's account.
pub(super) struct Counted(pub(super) Arc<Account>);

impl Meter for Counted {
    fn name(&self) -> &'static str {
        "kernel programs"
    }

    fn read(&mut self, _pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let enforcer = self.0.programs().enforcer();
        let counts = enforcer.counts(self.0.slot())?;
        for resource in Resource::ALL {
            let Some(mechanism) = enforcer.mechanism(resource) else { continue };
            let count = counts[resource];
            let Metered::By { source, bound } = metered(mechanism) else { continue };
            let observation = Observation {
                held: Some(count.held),
                peak: Some(count.maxheld),
                failures: Some(count.failcnt),
            };
            findings.add(resource, Finding { observation, rank: Rank::Program, source, bound });
        }
        Ok(())
    }
}
