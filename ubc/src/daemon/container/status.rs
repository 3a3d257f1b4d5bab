//! Who meters and who enforces a container's rows, and who acts on its knobs.

use std::collections::BTreeMap;

use ubc_cgroup::{Cgroup, Enforced, Knob, RowStatus, Schedule, Scheduled};
use ubc_core::{Limits, PerResource, Resource};

use crate::protocol::{Status, Unenforced, Wanted};

/// As the machine's rows, but that a cgroup somebody else made may lack the
/// controllers ours have.
pub(super) fn of_cgroup(
    mut status: PerResource<RowStatus>,
    cgroup: &Cgroup,
) -> PerResource<RowStatus> {
    for resource in Resource::ALL {
        let row = &mut status[resource];
        let (Enforced::By { file, .. } | Enforced::Guarantee(file)) = row.enforced else {
            continue;
        };
        let flags = rustix::fs::AtFlags::empty();
        if rustix::fs::statat(cgroup.as_dir(), file, flags).is_err() {
            row.enforced =
                Enforced::ObservedOnly(format!("the container's cgroup has no {file}").into());
        }
    }
    status
}

pub(super) fn imposes(enforced: &Enforced) -> bool {
    matches!(enforced, Enforced::By { .. } | Enforced::Guarantee(_))
}

/// The limits asked for that nothing here imposes. No limit needs nobody.
pub(super) fn unenforced(status: &PerResource<RowStatus>, wanted: &Wanted) -> Vec<Unenforced> {
    let rows = wanted.iter().filter_map(|(resource, limits)| {
        let limits: Limits = (*limits)?;
        let enforced = &status[resource].enforced;
        (!limits.is_unlimited() && !imposes(enforced)).then(|| Unenforced {
            what: resource.to_string(),
            asked: crate::limits::shown(limits).to_string(),
            why: match enforced {
                Enforced::ObservedOnly(why) => why.to_string(),
                enforced => enforced.to_string(),
            },
        })
    });
    rows.collect()
}

/// The knobs asked for that nothing here acts on. The default needs nobody.
pub(super) fn unscheduled(
    knobs: &BTreeMap<Knob, Scheduled>,
    schedule: &Schedule,
) -> Vec<Unenforced> {
    let not = schedule.knobs().filter(|knob| !schedule.is_default(*knob)).filter_map(|knob| {
        let why = match knobs.get(&knob)? {
            Scheduled::By { .. } => return None,
            Scheduled::Not(why) => why.to_string(),
            inert @ Scheduled::Inert { .. } => inert.to_string(),
        };
        let asked = crate::schedule::shown(knob, &schedule.text(knob)?);
        Some(Unenforced { what: knob.to_string(), asked, why })
    });
    not.collect()
}

/// What is true of a knob of one container: what the machine's self-test
/// found, where the cgroup has the file at all.
pub(super) fn claim(machine: &Scheduled, own: Scheduled) -> Scheduled {
    match (machine, own) {
        (Scheduled::Not(_) | Scheduled::By { proven: true, .. }, Scheduled::By { .. }) => {
            machine.clone()
        }
        (_, own) => own,
    }
}

/// A row's status in words.
pub(crate) fn describe(status: &RowStatus) -> Status {
    Status {
        metered_by: status.metered.to_string(),
        enforced_by: status.enforced.to_string(),
        measured: status.metered.is_present(),
        enforced: status.enforced.is_enforced(),
    }
}
