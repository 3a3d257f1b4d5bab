//! Who meters and who enforces a container's rows.

use ubc_cgroup::{Cgroup, Enforced, RowStatus};
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
        let file = match row.enforced {
            Enforced::By { file, .. } => file,
            // What the machine keeps as a whole needs no file here.
            Enforced::Guarantee(files) if files.starts_with("memory.") => {
                files.split(", ").next().unwrap_or(files)
            }
            Enforced::Guarantee(_) | Enforced::ObservedOnly(_) => continue,
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
            resource,
            limits,
            why: match enforced {
                Enforced::ObservedOnly(why) => why.to_string(),
                enforced => enforced.to_string(),
            },
        })
    });
    rows.collect()
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
