//! Going on where a predecessor stopped.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use log::{info, warn};
use ubc_cgroup::Cgroup;
use ubc_core::{Beancounter, Restore};
use ubc_procfs::ContainerProcess;

use super::{Node, of};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::kept::{Init, Keeper, State, boot, descriptor};

impl Node {
    /// Goes on with every container that a predecessor kept
    /// ([`Options::kept`](crate::Options::kept)) and that lives: its limits, its
    /// counts, its view. `fds` are the descriptors that were held, by name. One
    /// that has ended meanwhile ends as it would have; one that was being made
    /// or taken over by somebody who was never told of it is taken back. To be
    /// called once, before anything else is asked of the node.
    ///
    /// # Errors
    ///
    /// Nothing is kept here ([`Options::kept`](crate::Options::kept)), or the
    /// directory cannot be read. What is wrong with single containers is logged.
    pub fn resume(&self, mut fds: HashMap<String, OwnedFd>) -> Result<()> {
        let Some(keeper) = &self.options.keeper else {
            return Err(Error::new(ErrorKind::Internal, "the node keeps nothing"));
        };
        let states = keeper.load().map_err(|error| {
            Error::system(format!("cannot read what was kept of containers: {error}"))
        })?;
        for state in states {
            if let Err(why) = self.resume_one(keeper, &state, &mut fds) {
                warn!("{why}");
                self.drop_kept(keeper, &state);
            }
        }
        for name in fds.into_keys() {
            keeper.holder().forget(&name);
        }
        self.roster.rank(false);
        Ok(())
    }

    fn resume_one(
        &self,
        keeper: &Keeper,
        state: &State,
        fds: &mut HashMap<String, OwnedFd>,
    ) -> Result<()> {
        let id = state.id;
        let wrong = |why: &str| Error::system(format!("container {id}: not resumed: {why}"));
        if state.version != State::VERSION {
            let (found, accepted) = (state.version, State::VERSION);
            return Err(wrong(&format!("its file is of version {found}; accepted: {accepted}")));
        }
        if state.boot != boot() {
            return Err(wrong("it is from before the machine was started"));
        }
        let cgroup = Cgroup::open(self.host(), &state.cgroup);
        let cgroup = cgroup.map_err(|_| wrong("it has ended meanwhile: its cgroup is gone"))?;
        if cgroup.id().map_err(|error| of(id, &error))? != state.inode {
            return Err(wrong("it has ended meanwhile: its cgroup is another one"));
        }
        let beancounter = self.counted(keeper, state)?;
        let machine = self.surroundings();
        let origin = state.origin.clone();
        let container = Container::new(id, &machine, cgroup, beancounter, origin, Some(state))
            .map_err(|error| {
                self.roster.unregister(id);
                of(id, &error)
            })?;
        let container = Arc::new(container);
        self.roster.list().push(Arc::clone(&container));
        container.disown();
        if !state.lives {
            warn!("container {id}: whoever was making it was not told that it is made: taken back");
            container.end_or_warn();
            self.roster.forget(&container);
            return Ok(());
        }
        match state.init.map(init) {
            None => {}
            Some(Some(process)) => {
                let mut part = |part: &str| fds.remove(&descriptor(id, part));
                container.attach_again(process, state, &mut part)?;
            }
            Some(None) => {
                info!("container {id}: has ended meanwhile");
                container.end_or_warn();
                self.roster.forget(&container);
                return Ok(());
            }
        }
        info!("container {id}: goes on, cgroup {}", container.cgroup());
        Ok(())
    }

    /// A beancounter with what the container had counted.
    fn counted(&self, keeper: &Keeper, state: &State) -> Result<Beancounter> {
        let id = state.id;
        if let Some(mut snapshot) = keeper.record(id) {
            snapshot.beancounters.retain(|saved| saved.id == id.into());
            if let Err(error) = self.roster.registry.restore(&snapshot, Restore::WithHeld) {
                warn!("container {id}: counts from 0 again: {error}");
            }
        }
        self.roster
            .registry
            .get_or_create(id)
            .map_err(|error| Error::new(ErrorKind::Internal, error))
    }

    fn drop_kept(&self, keeper: &Keeper, state: &State) {
        keeper.remove(state);
        // As after any other end.
        if let Some(lifecycle) = &self.options.lifecycle {
            lifecycle.ending(state.id);
            lifecycle.ended(state.id);
        }
    }

    /// Writes down again all that a successor needs, because somebody removed it
    /// ([`Options::kept`](crate::Options::kept)). What cannot be written is logged,
    /// and tried again with each reading.
    pub fn keep_again(&self) {
        for container in self.containers() {
            container.keep_again();
        }
    }

    /// Takes all views away, for a process that ends without a successor: what
    /// they covered shows. Limits stay in force. A later process that resumes
    /// puts the views back.
    pub fn suspend(&self) {
        for container in self.containers() {
            container.suspend();
        }
    }
}

/// The process that a container's init was, if it lives.
fn init(init: Init) -> Option<ContainerProcess> {
    let process = ContainerProcess::open(init.pid).ok()?;
    // Of a process that is held, and so of no other one.
    (process.start_time() == Some(init.start) && process.is_alive()).then_some(process)
}
