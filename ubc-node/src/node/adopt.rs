//! Containers that somebody else made.

use std::sync::Arc;

use log::info;
use ubc_cgroup::{Bounds, Cgroup, InvalidName};
use ubc_core::{ContainerId, Limits, Resource, Restore, Snapshot};
use ubc_procfs::ContainerProcess;

use super::{Adopt, Node, Owned, in_use, of};
use crate::Unenforced;
use crate::container::{Container, Origin, no_container};
use crate::error::{Error, ErrorKind, Result};

/// The first id for containers whose makers give none: above what people
/// choose by hand.
const FIRST_FREE: u32 = 10_000_000;

impl Node {
    /// Takes over a container: counts what is in its cgroup from now on, what
    /// it holds already included, imposes the limits, and puts the view into its
    /// /proc if one is asked for. Also tells which of the limits nothing here
    /// imposes.
    ///
    /// # Errors
    ///
    /// No such cgroup or process, or the process is in another cgroup; the
    /// machine's root cgroup or the caller's own ([`ErrorKind::Invalid`]); the id
    /// or the cgroup is another container's ([`ErrorKind::InUse`]); a limit is
    /// wrong, or the counts are those of no container ([`ErrorKind::Invalid`]); or something could not be done. On an error everything is as it
    /// was.
    pub fn adopt(&self, wanted: &Adopt<'_>) -> Result<(Owned, Vec<Unenforced>)> {
        let node = self.own()?;
        let owned = Owned::new(&node, self.take_over(wanted)?);
        // Not under the lock of all: what the container mounts may be slow. What
        // fails from here on takes the container back with its owner.
        if let Some(pid) = wanted.pid {
            owned.attach(pid, wanted.view.as_ref())?;
        }
        let unenforced = owned.impose(&wanted.limits, &wanted.schedule, wanted.strict)?;
        self.roster.rank(false);
        info!("container {}: taken over, cgroup {}", owned.id(), owned.cgroup());
        Ok((owned, unenforced))
    }

    /// Everything but the view.
    fn take_over(&self, adopt: &Adopt<'_>) -> Result<Arc<Container>> {
        if adopt.id.is_some_and(ContainerId::is_host) {
            return Err(Error::invalid("container id 0 is the host; accepted: 1 to 99999999"));
        }
        let cgroup = match (adopt.cgroup, adopt.pid) {
            (Some(name), pid) => self.cgroup_by_name(name, pid, adopt.view.is_some())?,
            (None, Some(pid)) => self.cgroup_of(pid, adopt.view.is_some())?,
            (None, None) => return Err(Error::invalid("neither a cgroup nor a process is given")),
        };
        let mut containers = self.roster.list();
        let taken = |id| containers.iter().any(|container| container.id() == id);
        if let Some(other) = containers.iter().find(|c| c.cgroup() == cgroup.name().as_str()) {
            let message =
                format!("cgroup {} belongs to container {} already", other.cgroup(), other.id());
            return Err(Error::new(ErrorKind::InUse, message));
        }
        let id = match adopt.id {
            Some(id) if taken(id) => return Err(in_use(id, "a container runs under it")),
            Some(id) => id,
            None => self.choose(adopt.name, taken)?,
        };
        if let Some(counts) = adopt.counts {
            self.count_on(id, counts)?;
        }
        let beancounter = self
            .roster
            .registry
            .get_or_create(id)
            .map_err(|error| Error::new(ErrorKind::Internal, error))?;
        let name = adopt.name.map(str::to_owned);
        let origin = Origin::Adopted { name: name.clone() };
        match Container::new(id, &self.surroundings(), cgroup, beancounter, origin, None) {
            Ok(container) => {
                let container = Arc::new(container);
                containers.push(Arc::clone(&container));
                if let (None, Some(name)) = (adopt.id, name) {
                    self.names.lock().keep(name, id);
                }
                Ok(container)
            }
            Err(error) => {
                self.roster.unregister(id);
                Err(of(id, &error))
            }
        }
    }

    /// Makes a beancounter that goes on where another one stopped.
    fn count_on(&self, id: ContainerId, counts: &Snapshot) -> Result<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format!("container {id}: the counts it is to go on from: {why}"))
        };
        let mut counts = counts.clone();
        let [saved] = &mut counts.beancounters[..] else {
            return Err(wrong(&"not those of one container"));
        };
        saved.id = id.into();
        saved.leaving = false;
        for resource in Resource::ALL {
            // What is in force is the cgroup's to tell.
            let Limits { barrier, limit } = Limits::UNLIMITED;
            let row = &mut saved.resources[resource].row;
            (row.barrier, row.limit) = (barrier, limit);
        }
        self.roster.registry.restore(&counts, Restore::WithoutHeld).map_err(|error| wrong(&error))
    }

    /// An id for a container whose maker gives none: the one it had before, or
    /// else one that nobody has and no name ever had.
    fn choose(
        &self,
        name: Option<&str>,
        taken: impl Fn(ContainerId) -> bool,
    ) -> Result<ContainerId> {
        let names = self.names.lock();
        if let Some(id) = name.and_then(|name| names.id(name)).filter(|id| !taken(*id)) {
            return Ok(id);
        }
        let mut free = (FIRST_FREE..=ContainerId::MAX).filter_map(|id| ContainerId::new(id).ok());
        free.find(|id| !taken(*id) && !names.has(*id))
            .ok_or_else(|| Error::new(ErrorKind::InUse, "all container ids are in use"))
    }

    /// A cgroup by its name, if a container can be in there.
    fn cgroup_by_name(&self, name: &str, pid: Option<u32>, view: bool) -> Result<Cgroup> {
        let cgroup = Cgroup::open(self.host(), name)
            .map_err(|error| Error::invalid(format!("cgroup {name}: {error}")))?;
        if holds_caller(&cgroup)? {
            let why = "it is the caller's own, or around it";
            return Err(Error::invalid(format!("cgroup {}: {why}", cgroup.name())));
        }
        if let Some(pid) = pid {
            let process = Node::process(pid, view)?;
            let (pids, _) = cgroup.pids(&Bounds::default()).map_err(Error::system)?;
            if !pids.contains(&pid) || !process.is_alive() {
                let message = format!("process {pid} is not in cgroup {}", cgroup.name());
                return Err(Error::invalid(message));
            }
        }
        Ok(cgroup)
    }

    /// The cgroup of a process, if a container can be in there.
    fn cgroup_of(&self, pid: u32, view: bool) -> Result<Cgroup> {
        // Held, so that the number does not change hands meanwhile.
        let process = Node::process(pid, view)?;
        let cgroup = Cgroup::of_process(self.host(), pid).map_err(|error| match error {
            ubc_cgroup::Error::Name { reason: InvalidName::Empty, .. } => {
                in_no_container(pid, "it is in the root cgroup, which is the machine")
            }
            error => Error::system(error),
        })?;
        if holds_caller(&cgroup)? {
            let why = format!("its cgroup {} is the caller's too", cgroup.name());
            return Err(in_no_container(pid, &why));
        }
        if !process.is_alive() {
            return Err(Error::new(ErrorKind::NotFound, format!("process {pid} has ended")));
        }
        Ok(cgroup)
    }

    /// A process that is to be a container's init; with a view, one that has a
    /// /proc of its own.
    fn process(pid: u32, view: bool) -> Result<ContainerProcess> {
        let process =
            ContainerProcess::open(pid).map_err(|error| Error::new(ErrorKind::NotFound, error))?;
        if !view {
            return Ok(process);
        }
        let namespace = |pid: &str| rustix::fs::stat(format!("/proc/{pid}/ns/mnt"));
        match (namespace("self"), namespace(&pid.to_string())) {
            (Ok(own), Ok(its)) if (own.st_dev, own.st_ino) == (its.st_dev, its.st_ino) => {
                Err(in_no_container(pid, "its mount namespace is the host's"))
            }
            (Ok(_), Ok(_)) => Ok(process),
            (Err(error), _) | (_, Err(error)) => Err(Error::system(error)),
        }
    }

    /// Lets go of a container that was taken over, as
    /// [`Owned::detach`](crate::Owned::detach) does for the owner.
    ///
    /// # Errors
    ///
    /// There is none with this id, or it was made here.
    pub fn release(&self, id: ContainerId) -> Result<()> {
        let container = self.find(id).ok_or_else(|| no_container(id))?;
        if matches!(container.origin(), Origin::Made) {
            let message = format!("container {id} was made here and ends with its maker");
            return Err(Error::invalid(message));
        }
        container.end_or_warn();
        self.roster.forget(&container);
        Ok(())
    }

    /// Forgets the containers of this name whose init has ended, now rather
    /// than when the kernel tells.
    pub fn stopped(&self, name: &str) {
        for container in self.containers() {
            let named =
                matches!(container.origin(), Origin::Adopted { name: Some(own) } if own == name);
            if named && !container.is_owned() && !container.lives() {
                self.roster.ended(container.id());
            }
        }
    }
}

fn in_no_container(pid: u32, why: &str) -> Error {
    Error::invalid(format!("process {pid} is in no container: {why}"))
}

/// Whether whoever asks is in there: a limit would hit who is to look after it.
fn holds_caller(cgroup: &Cgroup) -> Result<bool> {
    cgroup.holds(std::process::id()).map_err(Error::system)
}
