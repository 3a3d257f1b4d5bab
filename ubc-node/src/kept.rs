//! What outlives this process: descriptors with a holder, and for each
//! container a file of what it is and one of what it counted.

mod file;
mod state;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use log::warn;
use parking_lot::Mutex;
use ubc_cgroup::Before;
use ubc_core::{ContainerId, Reading, Resource, Snapshot};
use ubc_procfs::Part;

use crate::complaint::Complaint;
pub(crate) use state::{Init, State, boot};

/// Bytes by which one change of limits and schedule lengthens a container's file
/// at most: a value of each row and of each knob.
const ROOM: u64 = 16 << 10;

/// Keeps descriptors for a successor of this process: the service manager, or
/// a parent that does little else.
pub trait Holder: Send + Sync {
    /// Keeps a descriptor under this name, of letters, digits and `-`. With
    /// `ends` it may be forgotten when poll(2) tells of an error.
    ///
    /// # Errors
    ///
    /// It cannot be kept.
    fn hold(&self, name: &str, fd: BorrowedFd<'_>, ends: bool) -> io::Result<()>;

    /// Returns when everything that was handed over is kept, whatever happens
    /// to this process from now on.
    ///
    /// # Errors
    ///
    /// That cannot be told.
    fn settle(&self) -> io::Result<()>;

    /// Forgets every descriptor of this name.
    fn forget(&self, name: &str);
}

/// Where everything is kept.
pub(crate) struct Keeper {
    dir: PathBuf,
    holder: Arc<dyn Holder>,
}

impl Keeper {
    pub(crate) fn new(dir: PathBuf, holder: Arc<dyn Holder>) -> Keeper {
        Keeper { dir, holder }
    }

    pub(crate) fn holder(&self) -> &dyn Holder {
        &*self.holder
    }

    /// All containers that a predecessor kept. What makes no sense is put aside; and so is, but
    /// for `all_or_none`, what cannot be read now.
    pub(crate) fn load(&self, all_or_none: bool) -> io::Result<Vec<State>> {
        let mut all: Vec<State> = Vec::new();
        for id in file::ids(&self.dir)? {
            all.extend(file::read_or_put_aside(&self.state_path(id), all_or_none)?);
        }
        all.sort_by_key(|state| state.age);
        Ok(all)
    }

    /// What a container had counted. Errors as with [`Keeper::load`].
    pub(crate) fn record(
        &self,
        id: ContainerId,
        all_or_none: bool,
    ) -> io::Result<Option<Snapshot>> {
        file::read_or_put_aside(&self.record_path(id), all_or_none)
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, state: &State) {
        for name in &state.descriptors {
            self.holder.forget(name);
        }
        for path in [self.state_path(state.id), self.record_path(state.id)] {
            if let Err(error) = file::remove(&path) {
                warn!("cannot remove {}: {error}", path.display());
            }
        }
    }

    fn state_path(&self, id: ContainerId) -> PathBuf {
        self.dir.join(format!("{id}.{}", file::STATE))
    }

    fn record_path(&self, id: ContainerId) -> PathBuf {
        self.dir.join(format!("{id}.{}", file::RECORD))
    }
}

/// What is kept of one container.
pub(crate) struct Kept {
    keeper: Arc<Keeper>,
    /// The last lock to be taken.
    state: Mutex<State>,
    recorded: Mutex<Option<Recorded>>,
    /// About what cannot be written.
    complaint: Mutex<Complaint>,
    /// Nothing is written any more. Set and asked under either lock.
    gone: AtomicBool,
}

/// The maxheld and failcnt of each row.
type Recorded = [(u64, u64); Resource::COUNT];

impl Kept {
    /// From now on.
    pub(crate) fn new(keeper: &Arc<Keeper>, state: State) -> Kept {
        Kept {
            keeper: Arc::clone(keeper),
            state: Mutex::new(state),
            recorded: Mutex::default(),
            complaint: Mutex::default(),
            gone: AtomicBool::new(false),
        }
    }

    /// Writes down a change. After an error there is none.
    pub(crate) fn try_update(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.state.lock();
        let before = state.clone();
        change(&mut state);
        self.write(&mut state, &before).inspect_err(|_| *state = before)
    }

    /// Writes down what has happened already. What cannot be written is said,
    /// and tried again with each reading.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let before = state.clone();
        change(&mut state);
        if let Err(error) = self.write(&mut state, &before) {
            state.unwritten = true;
            self.complain(state.id, "would not survive this process", &error);
        }
    }

    fn write(&self, state: &mut State, before: &State) -> io::Result<()> {
        if self.gone.load(Ordering::Relaxed) || *state == *before && !state.unwritten {
            return Ok(());
        }
        file::write(&self.keeper.state_path(state.id), state)?;
        state.unwritten = false;
        Ok(())
    }

    /// The files are gone: everything is written with the next reading.
    pub(crate) fn forget_written(&self) {
        *self.recorded.lock() = None;
        self.state.lock().unwritten = true;
    }

    /// Announces a change of limits. There is room then to write down how it
    /// came out, and after an error there must be no change.
    pub(crate) fn announce(&self, before: Before) -> io::Result<()> {
        let mut state = self.state.lock();
        if self.gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let unannounced = state.clone();
        state.pending = Some(before.into());
        let path = self.keeper.state_path(state.id);
        let announced = self.write(&mut state, &unannounced).and_then(|()| {
            let length = std::fs::metadata(&path).map_or(0, |file| file.len());
            file::reserve(&path, length + ROOM)
        });
        announced.inspect_err(|_| {
            *state = unannounced.clone();
            // What is announced and did not happen is undone without harm.
            state.unwritten = true;
            let _ = self.write(&mut state, &unannounced);
        })
    }

    fn complain(&self, id: ContainerId, what: &str, error: &io::Error) {
        match self.complaint.lock().due(Instant::now()) {
            Some(0) => warn!("container {id}: {what}: {error}"),
            Some(untold) => warn!("container {id}: {what}: {error} (and {untold} times before)"),
            None => {}
        }
    }

    /// Has the descriptors of its view held, and notes their names. After an
    /// error none of them is.
    pub(crate) fn hold(
        &self,
        parts: &[Part<'_>],
        change: impl FnOnce(&mut State),
    ) -> io::Result<()> {
        let id = self.state.lock().id;
        let names: Vec<String> = parts.iter().map(|part| descriptor(id, part.name)).collect();
        let holder = &self.keeper.holder;
        let hand_over = |(name, part): (&String, &Part<'_>)| holder.hold(name, part.fd, part.ends);
        let held = names.iter().zip(parts).try_for_each(hand_over).and_then(|()| holder.settle());
        let noted = held.and_then(|()| {
            self.try_update(|state| {
                state.descriptors.clone_from(&names);
                change(state);
            })
        });
        // Held without a name on file, nobody would ever let go of them.
        noted.inspect_err(|_| names.iter().for_each(|name| holder.forget(name)))
    }

    /// Has them forgotten again, and that there is a view.
    pub(crate) fn let_go(&self) {
        self.release();
        self.update(|state| state.view = None);
    }

    /// Has them forgotten. A successor puts the view back.
    pub(crate) fn release(&self) {
        let names = self.state.lock().descriptors.clone();
        for name in &names {
            self.keeper.holder.forget(name);
        }
        self.update(|state| state.descriptors.clear());
    }

    /// Writes down what is in a reading before anybody gets it, if a maxheld or
    /// a failcnt has risen.
    pub(crate) fn record(&self, reading: &Reading, snapshot: impl FnOnce() -> Option<Snapshot>) {
        let rows = Resource::ALL.map(|resource| {
            let row = reading.rows[resource];
            (row.maxheld, row.failcnt)
        });
        let mut recorded = self.recorded.lock();
        if self.state.lock().unwritten {
            self.update(|_| {});
        }
        if self.gone.load(Ordering::Relaxed) || *recorded == Some(rows) {
            return;
        }
        let Some(snapshot) = snapshot() else { return };
        match file::write(&self.keeper.record_path(reading.id), &snapshot) {
            Ok(()) => *recorded = Some(rows),
            Err(error) => self.complain(reading.id, "its counts would not survive", &error),
        }
    }

    /// Nothing is kept any more: it has ended.
    pub(crate) fn remove(&self) {
        let _recorded = self.recorded.lock();
        let state = self.state.lock();
        self.gone.store(true, Ordering::Relaxed);
        self.keeper.remove(&state);
    }
}

/// What a descriptor of a container's view is called.
pub(crate) fn descriptor(id: ContainerId, part: &str) -> String {
    format!("{id}-{part}")
}

#[cfg(test)]
mod tests;
