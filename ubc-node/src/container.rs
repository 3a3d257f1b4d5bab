//! One container: its beancounter, its meters, its limits, its view.

mod attach;
mod imposed;
mod rows;
mod standing;
mod status;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use log::warn;
use parking_lot::Mutex;
use ubc_cgroup::{Account, Cgroup, Host, Meters, Programs};
use ubc_core::{Beancounter, ContainerId, Reading};

use crate::Claims;
use crate::bell::Bell;
use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::node::Node;
use attach::Attached;
use imposed::Imposed;
use standing::Standing;

/// How long a reading waits for a change of limits to be over.
const CHANGE: Duration = Duration::from_millis(100);

/// Where a container comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made here, cgroup and all; it goes with all of it.
    Made,
    /// Somebody else's; only our things go.
    Adopted {
        /// What its runtime calls it.
        name: Option<String>,
    },
}

/// The machine, as a new container needs it.
pub(crate) struct Surroundings<'a> {
    pub(crate) node: &'a Weak<Node>,
    pub(crate) host: &'a Host,
    pub(crate) programs: Option<&'a Arc<Programs>>,
    pub(crate) claims: &'a Claims,
    /// Rung when a container crosses its guarantee.
    pub(crate) crossed: &'a Arc<Bell>,
}

/// A container that a node knows: found by [`Node::find`], or by its
/// [`Owned`](crate::Owned).
///
/// It ends with its init, with its owner, or by [`Node::release`]; what is asked
/// of it after that is answered by [`ErrorKind::NotFound`].
pub struct Container {
    id: ContainerId,
    node: Weak<Node>,
    origin: Origin,
    /// None once it has been taken away.
    cgroup: Mutex<Option<Cgroup>>,
    /// As in `cgroup`, for as long as somebody may ask.
    name: String,
    path: PathBuf,
    dir: OwnedFd,
    beancounter: Beancounter,
    /// With the kernel's programs.
    account: Option<Arc<Account>>,
    metering: Mutex<Meters>,
    budget: Mutex<Budget>,
    /// Taken after `metering`, where both are.
    imposed: Mutex<Imposed>,
    attached: Mutex<Option<Attached>>,
    /// None where it cannot take part in the out-of-memory order.
    standing: Mutex<Option<Standing>>,
    /// Whether it was above its guarantee when the order was last made.
    overdrawn: AtomicBool,
    /// Rung when it no longer is, or now is.
    crossed: Arc<Bell>,
    /// `owned` falls and `ended` rises; whoever is second must see the first,
    /// hence sequential consistency on both.
    owned: AtomicBool,
    ended: AtomicBool,
    forgotten: Mutex<bool>,
    claims: Claims,
}

impl Container {
    /// Takes charge of a cgroup.
    pub(crate) fn new(
        id: ContainerId,
        machine: &Surroundings<'_>,
        cgroup: Cgroup,
        beancounter: Beancounter,
        origin: Origin,
    ) -> ubc_cgroup::Result<Container> {
        let Surroundings { node, host, programs, claims, crossed } = *machine;
        let mut claims = claims.clone();
        let name = cgroup.name().as_str().to_owned();
        let metered = Cgroup::open(host, &name)?;
        if matches!(origin, Origin::Adopted { .. }) {
            claims.rows = status::of_cgroup(claims.rows, &cgroup);
        }
        let mut meters = Meters::open(host, metered)?;
        let account = programs.map(|programs| account(programs, id, &cgroup, &origin));
        let account = account.transpose()?;
        if let Some(account) = &account {
            account.meters().into_iter().for_each(|meter| meters.add(meter));
        }
        let dir = cgroup.as_dir().try_clone_to_owned().map_err(|source| {
            let path = cgroup.path().to_owned();
            ubc_cgroup::Error::Io { operation: "duplicate", path, source }
        })?;
        Ok(Container {
            id,
            node: Weak::clone(node),
            origin,
            imposed: Mutex::new(Imposed::new(&cgroup, account.clone())?),
            account,
            metering: Mutex::new(meters),
            budget: Mutex::new(Budget::new(Instant::now())),
            path: cgroup.path().to_owned(),
            dir,
            cgroup: Mutex::new(Some(cgroup)),
            standing: Mutex::new(Standing::open(host, &name)?),
            overdrawn: AtomicBool::new(false),
            crossed: Arc::clone(crossed),
            name,
            beancounter,
            attached: Mutex::new(None),
            owned: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            forgotten: Mutex::new(false),
            claims,
        })
    }

    /// Its number.
    pub fn id(&self) -> ContainerId {
        self.id
    }

    /// Its cgroup, below the root of the hierarchy.
    pub fn cgroup(&self) -> &str {
        &self.name
    }

    /// The directory of its cgroup. Whatever process writes itself into the
    /// `cgroup.procs` there is in the container from then on.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same by a descriptor, which goes on meaning this cgroup whatever
    /// happens to its path: `CLONE_INTO_CGROUP` takes it.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Moves a process with all its threads into the container. What it has
    /// open stays whoever's it was; start programs inside instead.
    ///
    /// # Errors
    ///
    /// No such process, the container has ended, or its cgroup may hold none.
    pub fn add(&self, pid: u32) -> Result<()> {
        let cgroup = self.cgroup.lock();
        let cgroup = cgroup.as_ref().ok_or_else(|| self.gone())?;
        cgroup.add(pid).map_err(|error| Error::system(format!("container {}: {error}", self.id)))
    }

    /// The rows now, for those who read a view: those that ask for more than
    /// their share of work wait.
    pub(crate) fn reading_for_readers(&self) -> io::Result<Reading> {
        // Not under the lock of the meters: others do not wait with them.
        let wait = self.budget.lock().wait(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let started = Instant::now();
        let reading = self.read();
        let now = Instant::now();
        self.budget.lock().spend(now, now - started);
        reading
    }

    fn read(&self) -> io::Result<Reading> {
        if self.has_ended() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut meters = self.metering.lock();
        let observed = meters.read().map_err(|error| match error {
            ubc_cgroup::Error::Removed { .. } => io::ErrorKind::NotFound.into(),
            error => {
                warn!("container {}: {error}", self.id);
                io::Error::other(error)
            }
        })?;
        for (resource, seen) in observed.iter() {
            self.beancounter.observe(resource, *seen).map_err(io::Error::other)?;
        }
        // A lower memory limit may take the kernel long; until it is there the
        // rows show the old one.
        if let Some(mut imposed) = self.imposed.try_lock_for(CHANGE) {
            self.show_limits(&mut imposed).map_err(io::Error::other)?;
        }
        let reading = self.beancounter.reading();
        self.note_standing(&reading);
        Ok(reading)
    }

    /// Takes its view away; one made here is killed and its cgroup removed, one
    /// that was taken over gets back the limits and the schedule it came with,
    /// and is left alone. The first call does the work; one at the same time
    /// waits for it. It has ended, whatever could not be done.
    pub(crate) fn end(&self) -> Result<()> {
        // Held to the end: whoever comes second waits here.
        let mut held = self.cgroup.lock();
        let Some(cgroup) = held.take() else { return Ok(()) };
        let mut failures = Vec::new();
        if let Some(Attached { process, view: Some(view) }) = self.attached.lock().take()
            && process.is_alive()
            && let Err(error) = view.detach(&process)
            && process.is_alive()
        {
            failures.push(error.to_string());
        }
        self.stand_down();
        let gone = match self.origin {
            Origin::Made => vec![cgroup.kill().and_then(|()| cgroup.remove())],
            Origin::Adopted { .. } => {
                self.imposed.lock().give_back().into_iter().map(Err).collect()
            }
        };
        failures.extend(gone.into_iter().filter_map(|gone| match gone {
            Ok(()) | Err(ubc_cgroup::Error::Removed { .. }) => None,
            Err(error) => Some(error.to_string()),
        }));
        if let Some(account) = &self.account
            && let Err(error) = account.close()
        {
            failures.push(error.to_string());
        }
        self.ended.store(true, Ordering::SeqCst);
        if failures.is_empty() {
            return Ok(());
        }
        Err(Error::system(format!("container {}: {}", self.id, failures.join("; "))))
    }

    /// As [`Container::end`], for callers with nobody to tell.
    pub(crate) fn end_or_warn(&self) {
        if let Err(error) = self.end() {
            warn!("{error}");
        }
    }

    pub(crate) fn gone(&self) -> Error {
        no_container(self.id)
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether its init is known and still lives.
    pub fn lives(&self) -> bool {
        self.attached.lock().as_ref().is_some_and(|attached| attached.process.is_alive())
    }

    /// Whether all of it is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether its owner is still there.
    pub(crate) fn is_owned(&self) -> bool {
        self.owned.load(Ordering::SeqCst)
    }

    /// Its owner is no longer interested.
    pub(crate) fn disown(&self) {
        self.owned.store(false, Ordering::SeqCst);
    }

    /// Runs the first caller's work; a second one waits until it is done.
    pub(crate) fn once_forgotten(&self, work: impl FnOnce()) {
        let mut forgotten = self.forgotten.lock();
        if !std::mem::replace(&mut *forgotten, true) {
            work();
        }
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container")
            .field("id", &self.id)
            .field("origin", &self.origin)
            .field("cgroup", &self.name)
            .field("ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

pub(crate) fn no_container(id: ContainerId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no container {id}"))
}

/// A new container holds nothing yet; one that runs has to be looked at.
fn account(
    programs: &Arc<Programs>,
    id: ContainerId,
    cgroup: &Cgroup,
    origin: &Origin,
) -> ubc_cgroup::Result<Arc<Account>> {
    let account = match origin {
        Origin::Made => Account::open(programs, id, cgroup),
        Origin::Adopted { .. } => Account::take_over(programs, id, cgroup),
    };
    account.map(Arc::new)
}
