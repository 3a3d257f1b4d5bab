//! Kernel programs at work for the containers of a host.
//!
//! What the programs are and do is the business of `ubc-bpf`. Here a container
//! gets its account with them, its limits go there along with those of the
//! controllers, and its counts come from there.

use std::sync::Arc;

use log::info;
use ubc_bpf::{Enforcer, Events, Faults, MECHANISMS, Observer, Options, Standing, Verdict};
use ubc_core::{PerResource, Resource};

use crate::host::Scratch;
use crate::{Enforced, Host, Result, RowStatus};

mod account;
mod meter;
mod observed;

pub use account::Account;

/// Why a row that a program counts is not refused.
const NOBODY_ASKED: &str = "the kernel asks nobody before it grants it";

/// Programs in the kernel that count and refuse, tested on this kernel. Where
/// the kernel lets nobody refuse they still count when asked.
#[derive(Debug)]
pub struct Programs {
    enforcer: Enforcer,
    /// What counts by passes over tasks, or why nothing does.
    observer: std::result::Result<Observer, String>,
    /// By row: the mechanism that refuses it, as was seen.
    proven: PerResource<Option<&'static str>>,
    /// By row: why nothing refuses it.
    reasons: PerResource<Option<String>>,
}

impl Programs {
    /// Takes over the programs on duty or installs them, has a refusal of each
    /// row provoked in a scratch cgroup, and compares a pass over tasks with the
    /// truth, unless that was done since they were installed. Accounts of containers that are gone are ended.
    ///
    /// # Errors
    ///
    /// The kernel takes no such programs, or the test cannot be made; the
    /// message says which.
    pub fn open(host: &Host, options: &Options) -> Result<Arc<Programs>> {
        Self::open_and_test(host, options, false)
    }

    /// As [`Programs::open`], and provokes the refusals in any case.
    ///
    /// # Errors
    ///
    /// As [`Programs::open`].
    pub fn test(host: &Host, options: &Options) -> Result<Arc<Programs>> {
        Self::open_and_test(host, options, true)
    }

    fn open_and_test(host: &Host, options: &Options, again: bool) -> Result<Arc<Programs>> {
        let enforcer = Enforcer::open(options)?;
        enforcer.prune(host.root())?;
        let known = enforcer.proven()?;
        let needs_test = |resource: &Resource| {
            enforcer.mechanism(*resource).is_some_and(|mechanism| mechanism.refuses(*resource))
                && !known.contains(resource)
                // Cannot be tested otherwise, today or at any start.
                && (*resource != Resource::KmemSize || host.has_controller("memory"))
        };
        let mut reasons = PerResource::from_fn(|_| None);
        let scratch = Scratch::new(host)?;
        let observer = Observer::open(&enforcer)
            .and_then(|observer| {
                if again || !enforcer.passes_proven()? {
                    observer.check(&enforcer, scratch.get().as_dir())?;
                }
                Ok(observer)
            })
            .map_err(|error| error.to_string())
            .inspect_err(|reason| info!("no passes over tasks: {reason}"));
        let needs_test = again || Resource::ALL.iter().any(needs_test);
        let outcomes = needs_test.then(|| enforcer.self_test(scratch.get().as_dir()));
        scratch.remove()?;
        if let Some(outcomes) = outcomes {
            for outcome in outcomes? {
                if let Verdict::NotEnforced(reason) = outcome.verdict {
                    reasons[outcome.resource] = Some(reason);
                }
            }
        }
        let known = enforcer.proven()?;
        let proven = PerResource::from_fn(|resource| {
            let mechanism = enforcer.mechanism(resource).filter(|m| m.refuses(resource));
            mechanism.filter(|_| known.contains(&resource)).map(|mechanism| mechanism.name)
        });
        for (mechanism, standing) in enforcer.standings() {
            if standing == Standing::OnDuty {
                for resource in mechanism.resources.iter().filter(|row| !mechanism.refuses(**row)) {
                    reasons[*resource].get_or_insert_with(|| NOBODY_ASKED.into());
                }
            }
            if let Standing::Refused(reason) = standing {
                for resource in mechanism.resources {
                    reasons[*resource].get_or_insert(reason.clone());
                }
            }
        }
        Ok(Arc::new(Programs { enforcer, observer, proven, reasons }))
    }

    /// The program that refuses a row, as was seen on this kernel.
    pub fn mechanism(&self, resource: Resource) -> Option<&'static str> {
        self.proven[resource]
    }

    /// Why nothing is refused, if nothing is.
    pub fn powerless(&self) -> Option<String> {
        self.enforcer.powerless()
    }

    /// Whether passes over the tasks count what no program counts as it happens;
    /// the reason if not. What they count was compared with the truth.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn passes(&self) -> std::result::Result<(), &str> {
        self.observer.as_ref().map(drop).map_err(String::as_str)
    }

    /// How many passes over the machine's tasks were made so far.
    pub fn passes_made(&self) -> u64 {
        self.observer().map_or(0, Observer::passes)
    }

    pub(crate) fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref().ok()
    }

    /// The refusals as they happen.
    ///
    /// # Errors
    ///
    /// The queue cannot be mapped.
    pub fn events(&self) -> Result<Events> {
        Ok(Events::open(&self.enforcer)?)
    }

    /// What went wrong inside the programs since they were installed.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn faults(&self) -> Result<Faults> {
        Ok(self.enforcer.faults()?)
    }

    /// The programs themselves.
    pub fn enforcer(&self) -> &Enforcer {
        &self.enforcer
    }

    /// Says of each row what the programs change.
    pub fn improve(&self, rows: &mut PerResource<RowStatus>) {
        if self.observer.is_ok() {
            observed::improve(rows);
        }
        if self.powerless().is_some() {
            return;
        }
        for resource in Resource::ALL {
            let row = &mut rows[resource];
            if is_controllers_own(resource, row) {
                continue;
            }
            if let Some(mechanism) = self.enforcer.mechanism(resource) {
                row.metered = meter::metered(mechanism);
            }
            if let Some(mechanism) = self.proven[resource] {
                row.enforced = Enforced::Program(mechanism);
            } else if let (Enforced::ObservedOnly(_), Some(reason)) =
                (&row.enforced, &self.reasons[resource])
            {
                row.enforced = Enforced::ObservedOnly(reason.clone().into());
            }
        }
    }
}

/// Whether programs have nothing to count for a row: the memory controller does,
/// and is not here.
fn is_controllers_own(resource: Resource, row: &RowStatus) -> bool {
    resource == Resource::KmemSize && !row.metered.is_present()
}

/// What programs would change, on a kernel that takes the first mechanism of
/// every row. For documentation: nothing is looked at, nothing is proven.
pub fn expected_of_programs(rows: &mut PerResource<RowStatus>) {
    for (resource, row) in rows.iter_mut() {
        let Some(mechanism) = MECHANISMS.iter().find(|m| m.resources.contains(&resource)) else {
            continue;
        };
        if is_controllers_own(resource, row) {
            continue;
        }
        row.metered = meter::metered(mechanism);
        if mechanism.refuses(resource) {
            row.enforced = Enforced::Program(mechanism.name);
        } else if !row.enforced.is_enforced() {
            row.enforced = Enforced::ObservedOnly(NOBODY_ASKED.into());
        }
    }
}
