//! The counts of the kernel's programs, as a meter.

use std::sync::Arc;

use ubc_bpf::Mechanism;
use ubc_core::{Observation, Resource};

use super::Account;
use crate::{Bound, Finding, Findings, Meter, Metered, Pass, Rank, Result};

/// How rows of a mechanism are measured.
pub(super) fn metered(mechanism: &'static Mechanism) -> Metered {
    // What the memory controller has, and that is not what OpenVZ counted.
    let is_controllers = mechanism.resources.contains(&Resource::KmemSize);
    let bound = if is_controllers { Bound::Near } else { Bound::Exact };
    Metered::By { source: format!("bpf {}", mechanism.name).into(), bound }
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
            if !enforcer.is_counted(self.0.slot(), resource)? {
                continue;
            }
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
