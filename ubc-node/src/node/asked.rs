//! What a container is to be made from.

use ubc_cgroup::Schedule;
use ubc_core::{ContainerId, Snapshot};
use ubc_procfs::Place;

use crate::Wanted;

/// A container to be made, cgroup and all.
#[derive(Clone, Debug)]
pub struct Create<'a> {
    pub(super) id: ContainerId,
    pub(super) limits: Wanted,
    pub(super) schedule: Schedule,
    pub(super) strict: bool,
    pub(super) parent: Option<&'a str>,
}

impl<'a> Create<'a> {
    /// With this id, which also names its cgroup.
    pub fn new(id: ContainerId) -> Create<'a> {
        let (limits, schedule) = (Wanted::default(), Schedule::default());
        Create { id, limits, schedule, strict: false, parent: None }
    }

    /// With these limits from the beginning.
    #[must_use]
    pub fn limits(self, limits: Wanted) -> Create<'a> {
        Create { limits, ..self }
    }

    /// With this schedule from the beginning.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Create<'a> {
        Create { schedule, ..self }
    }

    /// Refused if something of it cannot be imposed here.
    #[must_use]
    pub fn strict(self, strict: bool) -> Create<'a> {
        Create { strict, ..self }
    }

    /// In this existing cgroup, by its path below the cgroup2 mount, rather than
    /// in the node's.
    #[must_use]
    pub fn parent(self, parent: &'a str) -> Create<'a> {
        Create { parent: Some(parent), ..self }
    }
}

/// A container that somebody else made, to be taken over.
#[derive(Clone, Debug)]
pub struct Adopt<'a> {
    pub(super) id: Option<ContainerId>,
    pub(super) name: Option<&'a str>,
    pub(super) cgroup: Option<&'a str>,
    pub(super) pid: Option<u32>,
    pub(super) limits: Wanted,
    pub(super) schedule: Schedule,
    pub(super) strict: bool,
    pub(super) view: Option<Place<'a>>,
    pub(super) counts: Option<&'a Snapshot>,
}

impl<'a> Adopt<'a> {
    fn none() -> Adopt<'a> {
        Adopt {
            id: None,
            name: None,
            cgroup: None,
            pid: None,
            limits: Wanted::default(),
            schedule: Schedule::default(),
            strict: false,
            view: None,
            counts: None,
        }
    }

    /// The container in this cgroup, by its path below the cgroup2 mount or by
    /// its full path. Its end is not noticed unless [`Adopt::pid`] is given.
    pub fn cgroup(cgroup: &'a str) -> Adopt<'a> {
        Adopt { cgroup: Some(cgroup), ..Adopt::none() }
    }

    /// The container whose init this is, in the init's cgroup. Where the init is
    /// in a cgroup namespace of its own, the whole of that is the container.
    pub fn process(pid: u32) -> Adopt<'a> {
        Adopt { pid: Some(pid), ..Adopt::none() }
    }

    /// Its init, in the host's numbers: the container ends with it.
    #[must_use]
    pub fn pid(self, pid: u32) -> Adopt<'a> {
        Adopt { pid: Some(pid), ..self }
    }

    /// With this id. Otherwise a free one is chosen, from 10000000 up.
    #[must_use]
    pub fn id(self, id: ContainerId) -> Adopt<'a> {
        Adopt { id: Some(id), ..self }
    }

    /// What its maker calls it: an id that is chosen goes with the name, and is
    /// chosen again for it ([`Options::state`](crate::Options::state)).
    #[must_use]
    pub fn name(self, name: &'a str) -> Adopt<'a> {
        Adopt { name: Some(name), ..self }
    }

    /// With these limits from the beginning.
    #[must_use]
    pub fn limits(self, limits: Wanted) -> Adopt<'a> {
        Adopt { limits, ..self }
    }

    /// With this schedule from the beginning.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Adopt<'a> {
        Adopt { schedule, ..self }
    }

    /// Refused if something of it cannot be imposed here.
    #[must_use]
    pub fn strict(self, strict: bool) -> Adopt<'a> {
        Adopt { strict, ..self }
    }

    /// With what it had counted in another life, under whatever id and on whatever machine
    /// ([`Container::counts`](crate::Container::counts)): maxheld and failcnt go on from
    /// there.
    #[must_use]
    pub fn counts(self, counts: &'a Snapshot) -> Adopt<'a> {
        Adopt { counts: Some(counts), ..self }
    }

    /// With the view in its /proc, at this place. Needs the process.
    #[must_use]
    pub fn view(self, place: Place<'a>) -> Adopt<'a> {
        Adopt { view: Some(place), ..self }
    }
}
