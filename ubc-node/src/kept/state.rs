//! A container as its file has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ubc_cgroup::oom::KnownScores;
use ubc_cgroup::{Before, GivenBack, Knob, Schedule, Target};
use ubc_core::{ContainerId, Limits, PerResource, Resource};
use ubc_procfs::ViewState;

use crate::{Origin, Wanted};

/// Everything a successor has to know of a container, beside its counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u32,
    /// Of which boot all this is true.
    pub(crate) boot: String,
    pub(crate) id: ContainerId,
    /// Nanoseconds since boot.
    pub(crate) age: u64,
    pub(crate) origin: Origin,
    /// Whether it lives on without the one who made it or took it over.
    pub(crate) lives: bool,
    pub(crate) cgroup: String,
    /// Tells it from another cgroup that gets its name.
    pub(crate) inode: u64,
    pub(crate) init: Option<Init>,
    pub(crate) view: Option<ViewState>,
    /// The names of the view's descriptors.
    pub(crate) descriptors: Vec<String>,
    pub(crate) configured: Wanted,
    pub(crate) schedule: BTreeMap<String, String>,
    pub(crate) at_first: PerResource<Option<Limits>>,
    pub(crate) notes: Notes,
    /// Before a change that has not come to its end.
    pub(crate) pending: Option<Pending>,
    pub(crate) scores: Option<ScoresState>,
    /// The file says something else, or is not there.
    #[serde(skip)]
    pub(crate) unwritten: bool,
}

impl State {
    pub(crate) const VERSION: u32 = 1;

    /// Of a new container.
    ///
    /// # Errors
    ///
    /// The kernel does not tell which boot this is: nobody would go on with it.
    pub(crate) fn new(
        id: ContainerId,
        origin: &Origin,
        cgroup: &str,
        inode: u64,
    ) -> ubc_cgroup::Result<State> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Ok(State {
            version: State::VERSION,
            boot: boot()?,
            id,
            age: seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0),
            origin: origin.clone(),
            lives: false,
            cgroup: cgroup.to_owned(),
            inode,
            init: None,
            view: None,
            descriptors: Vec::new(),
            configured: Wanted::default(),
            schedule: BTreeMap::new(),
            at_first: PerResource::default(),
            notes: Notes::default(),
            pending: None,
            scores: None,
            unwritten: true,
        })
    }

    pub(crate) fn set_schedule(&mut self, schedule: &Schedule) {
        let value = |knob: Knob| Some((knob.name().to_owned(), schedule.text(knob)?));
        self.schedule = Knob::ALL.into_iter().filter_map(value).collect();
    }

    /// What of it this version knows.
    pub(crate) fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::default();
        for (name, value) in &self.schedule {
            if let Some(knob) = Knob::from_name(name)
                && let Err(error) = schedule.set(knob, value)
            {
                log::warn!("container {}: {name}: {error}", self.id);
            }
        }
        schedule
    }
}

/// The name of this boot.
pub(crate) fn boot() -> ubc_cgroup::Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    match std::fs::read_to_string(path) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(source) => Err(ubc_cgroup::Error::Io { operation: "read", path: path.into(), source }),
    }
}

/// A process that no other can be taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Init {
    pub(crate) pid: u32,
    pub(crate) start: u64,
}

/// What a cgroup that was taken over is to be given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes(Vec<Note>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    target: String,
    file: String,
    value: String,
    before: String,
}

impl From<Vec<GivenBack>> for Notes {
    fn from(notes: Vec<GivenBack>) -> Notes {
        let note = |GivenBack { target, file, value, before }| Note {
            target: Target::to_string(&target),
            file,
            value,
            before,
        };
        Notes(notes.into_iter().map(note).collect())
    }
}

impl From<Notes> for Vec<GivenBack> {
    fn from(Notes(notes): Notes) -> Vec<GivenBack> {
        let note = |Note { target, file, value, before }| {
            let row = Resource::from_name(&target).map(Target::Row);
            let target = row.or_else(|| Knob::from_name(&target).map(Target::Knob))?;
            Some(GivenBack { target, file, value, before })
        };
        notes.into_iter().filter_map(note).collect()
    }
}

/// [`Before`] as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    files: Vec<(String, String)>,
    limits: Option<PerResource<Limits>>,
}

impl From<Before> for Pending {
    fn from(Before { files, limits }: Before) -> Pending {
        Pending { files, limits }
    }
}

impl From<Pending> for Before {
    fn from(Pending { files, limits }: Pending) -> Before {
        Before { files, limits }
    }
}

/// [`KnownScores`] as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScoresState {
    base: i32,
    ours: Vec<i32>,
    own: Vec<(u32, u64, i32)>,
}

impl From<KnownScores> for ScoresState {
    fn from(KnownScores { base, ours, mut own }: KnownScores) -> ScoresState {
        own.sort_unstable();
        ScoresState { base, ours, own }
    }
}

impl From<ScoresState> for KnownScores {
    fn from(ScoresState { base, ours, own }: ScoresState) -> KnownScores {
        KnownScores { base, ours, own }
    }
}
