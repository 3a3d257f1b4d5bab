//! Who meters and who enforces a container's rows, and who acts on its knobs.

use std::collections::BTreeMap;

use ubc_cgroup::{Cgroup, Enforced, Knob, RowStatus, Schedule, Scheduled};
use ubc_core::{Limits, PerResource, Resource};

use crate::{Unenforced, Wanted, shown_knob, shown_limits};

/// As the machine's rows, but that a cgroup somebody else made may lack the
/// controllers ours have.
pub(super) fn of_cgroup(
    mut status: PerResource<RowStatus>,
    cgroup: &Cgroup,
) -> PerResource<RowStatus> {
    for resource in Resource::ALL {
        let row = &mut status[resource];
        let file = match row.enforced {
            Enforced::By { file, .. } => file,
            // What the machine keeps as a whole needs no file here.
            Enforced::Guarantee(files) if files.starts_with("memory.") => {
                files.split(", ").next().unwrap_or(files)
            }
            Enforced::Program(_) | Enforced::Guarantee(_) | Enforced::ObservedOnly(_) => continue,
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
    matches!(enforced, Enforced::By { .. } | Enforced::Program(_) | Enforced::Guarantee(_))
}

/// The limits asked for that nothing here imposes. No limit needs nobody.
pub(super) fn unenforced(status: &PerResource<RowStatus>, wanted: &Wanted) -> Vec<Unenforced> {
    let rows = wanted.iter().filter_map(|(resource, limits)| {
        let limits: Limits = (*limits)?;
        let enforced = &status[resource].enforced;
        (!limits.is_unlimited() && !imposes(enforced)).then(|| Unenforced {
            what: resource.to_string(),
            asked: shown_limits(limits).to_string(),
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
        let asked = shown_knob(knob, &schedule.text(knob)?);
        Some(Unenforced { what: knob.to_string(), asked, why })
    });
    not.collect()
}

/// What is true of a knob of one container: what the machine's self-test
/// found, where the cgroup has the file at all.
pub(super) fn claim(machine: &Scheduled, own: Scheduled) -> Scheduled {
    match (machine, own) {
        // What no container here has, this one lacks for the same reason.
        (Scheduled::Not(_), _) | (Scheduled::By { proven: true, .. }, Scheduled::By { .. }) => {
            machine.clone()
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_proof_and_a_proof_elsewhere_is_no_file() {
        let by = |proven| Scheduled::By { file: "cpu.max", proven };
        let not = |why: &'static str| Scheduled::Not(why.into());
        assert_eq!(claim(&not("refuted"), by(false)), not("refuted"));
        assert_eq!(claim(&by(true), by(false)), by(true));
        assert_eq!(claim(&by(false), by(false)), by(false));
        assert_eq!(claim(&by(true), not("no file")), not("no file"));
    }

    #[test]
    fn only_what_asks_for_something_needs_somebody() {
        let mut schedule = Schedule::default();
        schedule.set(Knob::CpuUnits, "1000").unwrap();
        schedule.set(Knob::CpuLimit, "0").unwrap();
        schedule.set(Knob::IoLimit, "4194304").unwrap();
        schedule.set(Knob::Cpus, "2").unwrap();
        let mut knobs: BTreeMap<Knob, Scheduled> =
            Knob::ALL.map(|knob| (knob, Scheduled::Not("no file".into()))).into();
        knobs.insert(Knob::Cpus, Scheduled::by("cpu.max"));
        let kept = unscheduled(&knobs, &schedule);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!((&*kept[0].what, &*kept[0].asked, &*kept[0].why), ("iolimit", "4M", "no file"));
    }
}
