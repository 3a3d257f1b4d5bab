//! Containers that somebody else made.

use std::sync::Arc;

use log::info;
use ubc_cgroup::{Cgroup, Error, InvalidName, Schedule};
use ubc_core::ContainerId;
use ubc_procfs::{ContainerProcess, Place};

use super::super::container::{Container, Origin};
use super::super::conversation::no_container;
use super::{Node, in_use, of};
use crate::error::{Failure, Kind, Result};
use crate::protocol::{Adopt, Unenforced};

/// The first id for containers whose makers give none: above what people
/// choose by hand.
const FIRST_FREE: u32 = 10_000_000;

impl Node {
    /// Takes over a container: counts what is in its cgroup and puts the view
    /// into its /proc. On an error everything is as it was.
    pub(in crate::daemon) fn adopt(
        &self,
        adopt: &Adopt,
    ) -> Result<(Arc<Container>, Vec<Unenforced>)> {
        let container = self.take_over(adopt)?;
        // Not under the lock of all: what the container mounts may be slow.
        let place = Place { root: &adopt.root, path: &adopt.proc_path, meminfo: adopt.meminfo };
        let outcome = container
            .attach(adopt.pid, &place, &self.watch)
            .and_then(|()| container.set(&adopt.limits, &Schedule::default(), adopt.strict));
        self.disown(&container, outcome.is_ok());
        let unenforced = outcome?;
        self.rank(false);
        info!("container {}: taken over, cgroup {}", container.id(), container.cgroup());
        Ok((container, unenforced))
    }

    /// Everything but the view.
    fn take_over(&self, adopt: &Adopt) -> Result<Arc<Container>> {
        if adopt.id.is_some_and(ContainerId::is_host) {
            return Err(Failure::usage("container id 0 is the host; accepted: 1 to 99999999"));
        }
        let cgroup = self.cgroup_of(adopt.pid)?;
        let mut containers = self.containers.lock();
        let taken = |id| containers.iter().any(|container| container.id() == id);
        if let Some(other) = containers.iter().find(|c| c.cgroup() == cgroup.name().as_str()) {
            let message =
                format!("cgroup {} belongs to container {} already", other.cgroup(), other.id());
            return Err(Failure::new(Kind::InUse, message));
        }
        let id = match adopt.id {
            Some(id) if taken(id) => return Err(in_use(id, "a container runs under it")),
            Some(id) => id,
            None => self.choose(adopt.name.as_deref(), taken)?,
        };
        let beancounter =
            self.registry.get_or_create(id).map_err(|error| Failure::new(Kind::Software, error))?;
        let origin = Origin::Adopted { name: adopt.name.clone() };
        match Container::new(id, &self.surroundings(), cgroup, beancounter, origin) {
            Ok(container) => {
                let container = Arc::new(container);
                containers.push(Arc::clone(&container));
                if let (None, Some(name)) = (adopt.id, adopt.name.clone()) {
                    self.names.lock().keep(name, id);
                }
                Ok(container)
            }
            Err(error) => {
                self.unregister(id);
                Err(of(id, &error))
            }
        }
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
            .ok_or_else(|| Failure::new(Kind::InUse, "all container ids are in use"))
    }

    /// The cgroup of a process, if a container can be in there.
    fn cgroup_of(&self, pid: u32) -> Result<Cgroup> {
        let failed = |error: &dyn std::fmt::Display| Failure::system(error);
        let refused =
            |why: &str| Failure::usage(format!("process {pid} is in no container: {why}"));
        // Held, so that the number does not change hands meanwhile.
        let process =
            ContainerProcess::open(pid).map_err(|error| Failure::new(Kind::NoContainer, error))?;
        let namespace = |pid: &str| rustix::fs::stat(format!("/proc/{pid}/ns/mnt"));
        match (namespace("self"), namespace(&pid.to_string())) {
            (Ok(own), Ok(its)) if (own.st_dev, own.st_ino) == (its.st_dev, its.st_ino) => {
                return Err(refused("its mount namespace is the host's"));
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(failed(&error)),
        }
        let cgroup = Cgroup::of_process(&self.host, pid).map_err(|error| match error {
            Error::Name { reason: InvalidName::Empty, .. } => {
                refused("it is in the root cgroup, which is the machine")
            }
            error => failed(&error),
        })?;
        if cgroup.holds(std::process::id()).map_err(|error| failed(&error))? {
            return Err(refused(&format!("its cgroup {} is the daemon's too", cgroup.name())));
        }
        if !process.is_alive() {
            return Err(Failure::new(Kind::NoContainer, format!("process {pid} has ended")));
        }
        Ok(cgroup)
    }

    /// Takes the view away from a container that was taken over, and forgets
    /// it.
    pub(in crate::daemon) fn release(&self, id: ContainerId) -> Result<()> {
        let container = self.find(id).ok_or_else(|| no_container(id))?;
        if matches!(container.origin(), Origin::Made) {
            let message = format!("container {id} is one of `ubc run` and ends with it");
            return Err(Failure::usage(message));
        }
        container.end();
        self.forget(&container);
        Ok(())
    }

    /// Forgets the containers of this name whose init has ended, now rather
    /// than when the kernel tells.
    pub(in crate::daemon) fn stopped(&self, name: &str) {
        for container in self.containers() {
            let named =
                matches!(container.origin(), Origin::Adopted { name: Some(own) } if own == name);
            if named && !container.is_owned() && !container.lives() {
                self.ended(container.id());
            }
        }
    }
}
