//! Going on where a predecessor stopped.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use log::{info, warn};
use ubc_cgroup::Cgroup;
use ubc_core::{Beancounter, Restore};
use ubc_procfs::{AttachError, ContainerProcess};

use super::{Node, of};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result, may_pass};
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
    /// directory cannot be read. What is wrong with single containers is logged, and is an
    /// error where it may pass and [all or none](crate::Options::all_or_none) is wanted.
    pub fn resume(&self, mut fds: HashMap<String, OwnedFd>) -> Result<()> {
        let Some(keeper) = &self.options.keeper else {
            return Err(Error::new(ErrorKind::Internal, "the node keeps nothing"));
        };
        let states = keeper.load(self.options.all_or_none).map_err(|error| {
            Error::system(format!("cannot read what was kept of containers: {error}"))
        })?;
        for state in states {
            if let Err(Lost { why, may_pass }) = self.resume_one(keeper, &state, &mut fds) {
                if may_pass && self.options.all_or_none {
                    return Err(why);
                }
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
    ) -> Result<(), Lost> {
        let id = state.id;
        let wrong =
            |why: &str| Lost::from(Error::system(format!("container {id}: not resumed: {why}")));
        let failed =
            |error: &ubc_cgroup::Error| Lost { why: of(id, error), may_pass: may_pass(error) };
        if state.version != State::VERSION {
            let (found, accepted) = (state.version, State::VERSION);
            return Err(wrong(&format!("its file is of version {found}; accepted: {accepted}")));
        }
        if state.boot != boot().map_err(|error| failed(&error))? {
            return Err(wrong("it is from before the machine was started"));
        }
        let cgroup = Cgroup::open(self.host(), &state.cgroup);
        let cgroup = cgroup.map_err(|error| match failed(&error) {
            lost if lost.may_pass => lost,
            _ => wrong("it has ended meanwhile: its cgroup is gone"),
        })?;
        if cgroup.id().map_err(|error| failed(&error))? != state.inode {
            return Err(wrong("it has ended meanwhile: its cgroup is another one"));
        }
        let beancounter = self.counted(keeper, state)?;
        let machine = self.surroundings();
        let origin = state.origin.clone();
        let container = Container::new(id, &machine, cgroup, beancounter, origin, Some(state))
            .map_err(|error| {
                self.roster.unregister(id);
                failed(&error)
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
        let found = state.init.map(living).transpose().map_err(|error| Lost {
            why: Error::system(format!("container {id}: {error}")),
            may_pass: true,
        })?;
        match found {
            None => {}
            Some(Some(process)) => {
                let mut part = |part: &str| fds.remove(&descriptor(id, part));
                let all_or_none = self.options.all_or_none;
                container
                    .attach_again(process, state, &mut part, all_or_none)
                    .map_err(|why| Lost { why, may_pass: all_or_none })?;
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
    fn counted(&self, keeper: &Keeper, state: &State) -> Result<Beancounter, Lost> {
        let id = state.id;
        let record = keeper.record(id, self.options.all_or_none).map_err(|error| Lost {
            why: Error::system(format!("container {id}: {error}")),
            may_pass: true,
        })?;
        if let Some(mut snapshot) = record {
            snapshot.beancounters.retain(|saved| saved.id == id.into());
            if let Err(error) = self.roster.registry.restore(&snapshot, Restore::WithHeld) {
                warn!("container {id}: counts from 0 again: {error}");
            }
        }
        self.roster
            .registry
            .get_or_create(id)
            .map_err(|error| Error::new(ErrorKind::Internal, error).into())
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

/// Why a container cannot be gone on with.
struct Lost {
    why: Error,
    /// The next attempt may succeed.
    may_pass: bool,
}

impl From<Error> for Lost {
    fn from(why: Error) -> Lost {
        Lost { why, may_pass: false }
    }
}

/// The process that a container's init was, if it lives. One that cannot be looked at now is not
/// given up.
fn living(init: Init) -> Result<Option<ContainerProcess>, AttachError> {
    let process = match ContainerProcess::open(init.pid) {
        Ok(process) => process,
        Err(error) if may_pass(&error) => return Err(error),
        Err(_) => return Ok(None),
    };
    // Of a process that is held, and so of no other one.
    let start = process.start_time();
    if start.is_none() && process.is_alive() {
        let source = io::Error::other("its start time cannot be read");
        return Err(AttachError::NoProcess { pid: init.pid, source });
    }
    Ok((start == Some(init.start) && process.is_alive()).then_some(process))
}
