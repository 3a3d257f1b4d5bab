//! Containers: their places in the kernel's tables, their limits and counts.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;

use ubc_core::{Limits, PerResource, Resource};

use super::{Enforcer, Slot};
use crate::layout::{self, Container, Count};
use crate::{Error, Result, tree};

/// How often a container's kernel memory is read to find a moment without change.
const WEIGHINGS: u32 = 8;

impl Enforcer {
    /// Gives a container a place: from now on everything that tasks in its
    /// cgroup or below do is charged to it. `parent` is the container it is in,
    /// which is charged too; without it, that is the container its cgroup is
    /// below, if there is one. No row has a limit yet.
    ///
    /// A container that has a place already, for example from a process before
    /// this one, keeps it with its counts and limits.
    ///
    /// What it holds already is not counted; see [`Enforcer::catch_up`]. Its refusals are
    /// told to this enforcer's [`Events`](crate::Events), those too that were told to nobody
    /// since the process ended that had added it; with a `ctid` of 0 they are told to nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::TooDeep`], or the kernel's tables cannot be
    /// written: the container has no place then.
    pub fn add(&self, cgroup: BorrowedFd<'_>, ctid: u64, parent: Option<Slot>) -> Result<Slot> {
        let _tables = self.tables()?;
        let id = tree::id(cgroup)?;
        let taken = self.reap()?;
        let parent = match parent {
            Some(slot) => slot.0,
            None => self.around(cgroup)?,
        };
        if let Some((slot, container)) = taken.iter().find(|(_, c)| c.cgroup == id) {
            let queue = self.queue_of(ctid, container.queue, &taken);
            let (leaving, arriving) = (false, false);
            let container =
                Container { ctid, parent, leaving, arriving, queue, ..container.clone() };
            self.maps.set_container(*slot, &container)?;
            self.join(cgroup, *slot, parent)?;
            self.weigh(cgroup, *slot, &container)?;
            return Ok(Slot(*slot));
        }
        self.check_depth(ctid, parent)?;
        let places: HashSet<u32> = taken.iter().map(|(slot, _)| *slot).collect();
        let slot = (0..self.maps.slots())
            .find(|slot| !places.contains(slot))
            .ok_or(Error::Full(self.maps.slots()))?;
        self.maps.clear_counts(slot)?;
        let limits = PerResource::from_fn(|_| Limits::UNLIMITED);
        let container = Container {
            cgroup: id,
            ctid,
            parent,
            leaving: false,
            arriving: false,
            recorded: 0,
            limits,
            kernel_memory: None,
            queue: self.queue_of(ctid, None, &taken),
        };
        self.maps.set_container(slot, &container)?;
        let joined = self.join(cgroup, slot, parent);
        if let Err(error) = joined.and_then(|()| self.weigh(cgroup, slot, &container)) {
            self.leave(slot, parent)?;
            self.free(slot)?;
            return Err(error);
        }
        Ok(Slot(slot))
    }

    /// Ends a container's account: its tasks, if there are any, are charged to
    /// the container around it or to nobody from now on. The place is free
    /// again when the last object charged to it is gone.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written.
    pub fn remove(&self, slot: Slot) -> Result<()> {
        let _tables = self.tables()?;
        if let Some(container) = self.maps.container(slot.0)? {
            let parent = container.parent;
            self.leave(slot.0, parent)?;
            // Without limits: a container that comes back asks for its own.
            let limits = PerResource::from_fn(|_| Limits::UNLIMITED);
            // Nobody knows what comes and goes meanwhile.
            let kernel_memory = None;
            let left = Container {
                leaving: true,
                recorded: 0,
                limits,
                kernel_memory,
                ..container.clone()
            };
            self.maps.set_container(slot.0, &left)?;
            self.close_gates(&container, &left);
            self.reap()?;
        }
        Ok(())
    }

    /// Sets limits (`None`: leave the row alone). They hold from the next
    /// charge on. The first limit of some rows puts up gates, which takes some
    /// tenths of a second, and the end of the last one takes them down.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written, or the kernel does not take the
    /// gates; no limit has changed.
    pub fn set_limits(&self, slot: Slot, limits: &PerResource<Option<Limits>>) -> Result<()> {
        let _tables = self.tables()?;
        if let Some(mut container) = self.maps.container(slot.0)? {
            let was = container.clone();
            for (resource, wanted) in limits.iter() {
                container.limits[resource] = wanted.unwrap_or(container.limits[resource]);
            }
            self.open_gates(&container)?;
            self.maps.set_container(slot.0, &container)?;
            self.close_gates(&was, &container);
        }
        Ok(())
    }

    /// The limits in force.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn limits(&self, slot: Slot) -> Result<Option<PerResource<Limits>>> {
        Ok(self.maps.container(slot.0)?.map(|container| container.limits))
    }

    /// What a container holds, by row. Rows without a mechanism on duty are 0
    /// and mean nothing.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn counts(&self, slot: Slot) -> Result<PerResource<Count>> {
        let counts = self.maps.counts(slot.0)?;
        Ok(match self.maps.container(slot.0)? {
            Some(container) => counts.of(&container),
            None => counts.rows,
        })
    }

    /// Whether a row of a container is counted, given a mechanism on duty for it.
    /// kmemsize is the memory controller's, which has to be in the container's own
    /// cgroup when its account is opened.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn is_counted(&self, slot: Slot, resource: Resource) -> Result<bool> {
        if resource != Resource::KmemSize {
            return Ok(true);
        }
        Ok(self.maps.container(slot.0)?.is_some_and(|c| c.kernel_memory.is_some()))
    }

    /// What every container holds, in one call of the kernel.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn all_counts(&self) -> Result<Vec<(Slot, PerResource<Count>)>> {
        let taken: HashMap<u32, Container> =
            self.maps.containers()?.into_iter().filter(|(_, c)| !c.leaving).collect();
        let counts = self.maps.all_counts()?;
        Ok(counts
            .into_iter()
            .filter_map(|(slot, counts)| Some((Slot(slot), counts.of(taken.get(&slot)?))))
            .collect())
    }

    /// Ends the accounts of containers whose cgroup is not below `root` any
    /// more: nobody was there when they went.
    ///
    /// # Errors
    ///
    /// The hierarchy cannot be walked or the kernel's tables cannot be
    /// written.
    pub fn prune(&self, root: BorrowedFd<'_>) -> Result<()> {
        let alive = tree::below(root)?;
        for (slot, container) in self.maps.containers()? {
            if !container.leaving && !alive.contains(&container.cgroup) {
                self.remove(Slot(slot))?;
            }
        }
        Ok(())
    }

    /// Makes every cgroup of a container known as its own.
    fn join(&self, cgroup: BorrowedFd<'_>, slot: u32, parent: u32) -> Result<()> {
        // The container's own first: what is made below it meanwhile is seen.
        self.maps.set_member(tree::id(cgroup)?, slot)?;
        for id in tree::below(cgroup)? {
            if !self.is_inner(id, slot, parent)? {
                self.maps.set_member(id, slot)?;
            }
        }
        Ok(())
    }

    /// Whether a cgroup below a container's is that of a container in it.
    fn is_inner(&self, cgroup: u64, slot: u32, parent: u32) -> Result<bool> {
        match self.maps.slot_of(cgroup)? {
            Some(other) if other != slot && other != parent => {
                Ok(self.maps.container(other)?.is_some_and(|container| !container.leaving))
            }
            _ => Ok(false),
        }
    }

    /// Finds out what a container has of kernel memory, unless that is known:
    /// what is counted is only what comes and goes.
    fn weigh(&self, cgroup: BorrowedFd<'_>, slot: u32, container: &Container) -> Result<()> {
        if container.kernel_memory.is_some() {
            return Ok(());
        }
        let mut before = self.maps.counts(slot)?.kernel_memory;
        for _ in 0..WEIGHINGS {
            let Some(kernel_memory) = tree::kernel_memory(cgroup)? else { return Ok(()) };
            let after = self.maps.counts(slot)?.kernel_memory;
            let weighed = kernel_memory - after;
            let container = Container { kernel_memory: Some(weighed), ..container.clone() };
            self.maps.set_container(slot, &container)?;
            if after == before {
                break;
            }
            before = after;
        }
        Ok(())
    }

    /// The container that a cgroup is below.
    fn around(&self, cgroup: BorrowedFd<'_>) -> Result<u32> {
        let above = tree::above(cgroup)?;
        Ok(above.map(|id| self.maps.slot_of(id)).transpose()?.flatten().unwrap_or(layout::NOBODY))
    }

    /// Makes its cgroups those of the container around it.
    fn leave(&self, slot: u32, parent: u32) -> Result<()> {
        for cgroup in self.maps.members(slot)? {
            if parent == layout::NOBODY {
                self.maps.remove_member(cgroup)?;
            } else {
                self.maps.set_member(cgroup, parent)?;
            }
        }
        Ok(())
    }

    /// Frees the slots of containers that only waited for their last object.
    /// The slots still taken.
    fn reap(&self) -> Result<Vec<(u32, Container)>> {
        let mut taken = self.maps.containers()?;
        let is_parent = |slot: u32, all: &[(u32, Container)]| {
            all.iter().any(|(_, container)| container.parent == slot)
        };
        let mut gone = Vec::new();
        for (slot, container) in &taken {
            if container.leaving && !is_parent(*slot, &taken) && self.maps.counts(*slot)?.is_zero()
            {
                self.free(*slot)?;
                gone.push(*slot);
            }
        }
        taken.retain(|(slot, _)| !gone.contains(slot));
        Ok(taken)
    }

    fn free(&self, slot: u32) -> Result<()> {
        let limits = PerResource::from_fn(|_| Limits::UNLIMITED);
        let parent = layout::NOBODY;
        let nobody = Container {
            cgroup: 0,
            ctid: 0,
            parent,
            leaving: false,
            arriving: false,
            recorded: 0,
            limits,
            kernel_memory: None,
            queue: None,
        };
        self.maps.set_container(slot, &nobody)
    }

    /// Where its refusals go. Who has no number is a test of our own, told of nowhere.
    fn queue_of(&self, ctid: u64, had: Option<u32>, taken: &[(u32, Container)]) -> Option<u32> {
        if ctid == 0 { None } else { self.queues.of(had, taken, self.maps.queues()) }
    }

    fn check_depth(&self, ctid: u64, parent: u32) -> Result<()> {
        let mut at = parent;
        for _ in 1..layout::DEPTH {
            if at == layout::NOBODY {
                return Ok(());
            }
            at = self.maps.container(at)?.map_or(layout::NOBODY, |container| container.parent);
        }
        if at == layout::NOBODY { Ok(()) } else { Err(Error::TooDeep(ctid, layout::DEPTH)) }
    }
}
