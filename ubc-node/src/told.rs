//! What is told of a container.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use ubc_cgroup::{Knob, RowStatus};
use ubc_core::{ContainerId, Limits, PerResource, Reading, Resource};
use ubc_procfs::text::value::Shown;

use crate::error::one_line;

/// Limits asked for, resource by resource; `None` leaves a row as it is.
pub type Wanted = PerResource<Option<Limits>>;

/// An operation that a program in the kernel refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Seconds since 1970 in UTC.
    pub time: f64,
    /// The container that refused.
    pub id: ContainerId,
    /// The row.
    pub resource: Resource,
    /// In the row's unit, as the next three.
    pub asked: u64,
    /// In use at about that time.
    pub held: u64,
    /// The barrier in force.
    pub barrier: u64,
    /// The limit in force.
    pub limit: u64,
    /// The process that asked, on the host.
    pub pid: u32,
    /// As the process calls itself, which may be anything: escape it before a
    /// terminal sees it.
    pub comm: String,
    /// Refusals of this container so far that nobody was told of.
    pub dropped: u64,
}

impl Eq for Refusal {}

impl fmt::Display for Refusal {
    /// One line, with the name of the process escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { id, resource, asked, held, limit, pid, comm, .. } = self;
        let most = limit.min(&self.barrier);
        let comm = one_line(comm);
        write!(
            f,
            "container {id}: {resource} refused, limit {most}, held {held}, asked {asked}, \
             pid {pid} ({comm})"
        )?;
        match self.dropped {
            0 => Ok(()),
            dropped => write!(f, ", {dropped} untold so far"),
        }
    }
}

/// A limit or a schedule that is kept but that nothing here imposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unenforced {
    /// The option it came by: `numfile`, `ioprio`.
    pub what: String,
    /// Its value, as the command line takes it.
    pub asked: String,
    /// Why nothing imposes it.
    pub why: String,
}

impl fmt::Display for Unenforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unenforced { what, asked, why } = self;
        write!(f, "{what}={asked} is not imposed: {why}")
    }
}

/// A container as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Which container.
    pub id: ContainerId,
    /// Of its init, on the host; none before it is known.
    pub pid: Option<u32>,
    /// Below the root of the hierarchy.
    pub cgroup: String,
    /// How its view came into its /proc, and whose meminfo it has; none
    /// before it has a view.
    pub view: Option<ViewStatus>,
    /// The rows: held, maxheld, barrier, limit and failcnt.
    pub reading: Reading,
    /// The limits somebody asked for, imposed or not.
    pub configured: Wanted,
    /// Who set the limits that the rows show.
    pub set_by: PerResource<SetBy>,
    /// The scheduler knobs, by their names.
    pub schedule: BTreeMap<String, KnobStatus>,
    /// Who meters and who enforces each row here.
    pub status: PerResource<Status>,
}

/// A view in a container's /proc, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewStatus {
    /// How it came there.
    pub way: String,
    /// Whose /proc/meminfo the container has.
    pub meminfo: String,
}

/// Who meters and who enforces a row, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// `bpf numfile`, `memory.current`, or why nobody does.
    pub metered_by: String,
    /// The same of who refuses.
    pub enforced_by: String,
    /// Whether the row has a number at all.
    pub measured: bool,
    /// Whether going over the limit is refused.
    pub enforced: bool,
}

impl From<&RowStatus> for Status {
    fn from(status: &RowStatus) -> Status {
        Status {
            metered_by: status.metered.to_string(),
            enforced_by: status.enforced.to_string(),
            measured: status.metered.is_present(),
            enforced: status.enforced.is_enforced(),
        }
    }
}

/// Who set a limit that is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetBy {
    /// There is none.
    #[default]
    Nobody,
    /// Somebody who asked us.
    Ubc,
    /// Whoever made the container, before it was taken over.
    Runtime,
    /// Somebody else, since then.
    Other,
}

/// A scheduler knob of a container as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnobStatus {
    /// What somebody asked for, as `vzctl` takes it; bytes without suffix.
    pub configured: Option<String>,
    /// What the kernel's file says, in its own words.
    pub in_force: Option<String>,
    /// The file, or why nothing applies it.
    pub applied_by: String,
    /// Whether something applies it.
    pub applied: bool,
}

/// Limits as the command line takes them: `512:512`.
pub fn shown_limits(limits: Limits) -> Shown {
    Shown(limits)
}

/// A knob's kept value as the command line takes it: bytes have a suffix there.
pub fn shown_knob(knob: Knob, value: &str) -> String {
    let (Knob::IoLimit, Ok(bytes)) = (knob, value.parse::<u64>()) else {
        return value.to_owned();
    };
    let scales = [(1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K'), (1, 'B')];
    let fits = scales.into_iter().find(|(scale, _)| bytes % scale == 0);
    fits.map_or_else(|| value.to_owned(), |(scale, suffix)| format!("{}{suffix}", bytes / scale))
}
