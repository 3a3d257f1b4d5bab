//! What outlives this process: descriptors with a holder, and for each
//! container a file of what it is and one of what it counted.

mod file;
mod state;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::warn;
use parking_lot::Mutex;
use ubc_core::{ContainerId, Reading, Resource, Snapshot};
use ubc_procfs::Part;

pub(crate) use state::{Init, State, boot};

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

    /// All containers that a predecessor kept. What makes no sense is put aside.
    pub(crate) fn load(&self) -> io::Result<Vec<State>> {
        let mut all: Vec<State> = file::ids(&self.dir)?
            .into_iter()
            .filter_map(|id| file::read_or_put_aside(&self.state_path(id)))
            .collect();
        all.sort_by_key(|state| state.age);
        Ok(all)
    }

    /// What a container had counted.
    pub(crate) fn record(&self, id: ContainerId) -> Option<Snapshot> {
        file::read_or_put_aside(&self.record_path(id))
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, state: &State) {
        for name in &state.descriptors {
            self.holder.forget(name);
        }
        for path in [self.state_path(state.id), self.record_path(state.id)] {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
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
    /// Nothing is written any more. Set and asked under either lock.
    gone: AtomicBool,
}

/// The maxheld and failcnt of each row.
type Recorded = [(u64, u64); Resource::COUNT];

impl Kept {
    /// From now on.
    pub(crate) fn new(keeper: &Arc<Keeper>, state: State) -> Kept {
        let (keeper, recorded) = (Arc::clone(keeper), Mutex::default());
        Kept { keeper, state: Mutex::new(state), recorded, gone: AtomicBool::new(false) }
    }

    /// Writes down a change.
    pub(crate) fn try_update(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.state.lock();
        let before = state.clone();
        change(&mut state);
        let gone = self.gone.load(Ordering::Relaxed);
        if gone || *state == before && !state.fresh {
            return Ok(());
        }
        file::write(&self.keeper.state_path(state.id), &*state)?;
        state.fresh = false;
        Ok(())
    }

    /// As [`Kept::try_update`]; what cannot be written is said.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        if let Err(error) = self.try_update(change) {
            let id = self.state.lock().id;
            warn!("container {id}: would not survive this process: {error}");
        }
    }

    /// Has the descriptors of its view held, and notes their names.
    pub(crate) fn hold(
        &self,
        parts: &[Part<'_>],
        change: impl FnOnce(&mut State),
    ) -> io::Result<()> {
        let id = self.state.lock().id;
        let names: Vec<String> = parts.iter().map(|part| descriptor(id, part.name)).collect();
        for (name, part) in names.iter().zip(parts) {
            self.keeper.holder.hold(name, part.fd, part.ends)?;
        }
        self.keeper.holder.settle()?;
        self.try_update(|state| {
            state.descriptors = names;
            change(state);
        })
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
        if self.gone.load(Ordering::Relaxed) || *recorded == Some(rows) {
            return;
        }
        let Some(snapshot) = snapshot() else { return };
        match file::write(&self.keeper.record_path(reading.id), &snapshot) {
            Ok(()) => *recorded = Some(rows),
            Err(error) => {
                warn!("container {}: its counts would not survive: {error}", reading.id);
            }
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
