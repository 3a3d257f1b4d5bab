//! One container: its beancounter, its meters, its limits, its view.

mod attach;
mod ending;
mod imposed;
mod reading;
mod rows;
mod standing;
mod status;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use ubc_cgroup::{Account, Cgroup, Host, Meters, Programs};
use ubc_core::{Beancounter, ContainerId, Resource};

use crate::Claims;
use crate::bell::Bell;
use crate::budget::Budget;
use crate::complaint::Complaint;
use crate::error::{Error, ErrorKind, Result};
use crate::kept::{Keeper, Kept, State};
use crate::node::Roster;
use attach::Attached;
pub use attach::Uncovered;
use imposed::Imposed;
use standing::Standing;

/// Where a container comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    pub(crate) roster: &'a Arc<Roster>,
    pub(crate) host: &'a Host,
    pub(crate) programs: Option<&'a Arc<Programs>>,
    pub(crate) claims: &'a Claims,
    /// Rung when a container crosses its guarantee.
    pub(crate) crossed: &'a Arc<Bell>,
    /// None: nothing outlives this process.
    pub(crate) keeper: Option<&'a Arc<Keeper>>,
}

/// A container that a node knows: found by
/// [`Node::find`](crate::Node::find), or by its [`Owned`](crate::Owned).
///
/// It ends with its init, with its owner, or by
/// [`Node::release`](crate::Node::release); what is asked of it after that is
/// answered by [`ErrorKind::NotFound`].
pub struct Container {
    id: ContainerId,
    roster: Weak<Roster>,
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
    /// About readings that fail.
    complaint: Mutex<Complaint>,
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
    /// None: nothing of it outlives this process.
    kept: Option<Kept>,
}

impl Container {
    /// Takes charge of a cgroup, or goes on with what a predecessor left.
    pub(crate) fn new(
        id: ContainerId,
        machine: &Surroundings<'_>,
        cgroup: Cgroup,
        beancounter: Beancounter,
        origin: Origin,
        left: Option<&State>,
    ) -> ubc_cgroup::Result<Container> {
        let Surroundings { roster, host, programs, claims, crossed, keeper } = *machine;
        let mut claims = claims.clone();
        let name = cgroup.name().as_str().to_owned();
        let metered = Cgroup::open(host, &name)?;
        if matches!(origin, Origin::Adopted { .. }) {
            claims.rows = status::of_cgroup(claims.rows, &cgroup);
        }
        let mut meters = Meters::open(host, metered)?;
        let account = programs.map(|programs| account(programs, id, &cgroup, &origin, left));
        let account = account.transpose()?;
        if let Some(account) = &account {
            account.meters().into_iter().for_each(|meter| meters.add(meter));
        }
        let dir = cgroup.as_dir().try_clone_to_owned().map_err(|source| {
            let path = cgroup.path().to_owned();
            ubc_cgroup::Error::Io { operation: "duplicate", path, source }
        })?;
        let imposed = match left {
            None => Imposed::new(&cgroup, account.clone())?,
            Some(state) => Imposed::again(&cgroup, account.as_ref(), state)?,
        };
        let mut standing = Standing::open(host, &name)?;
        let kept = keeper.map(|keeper| -> ubc_cgroup::Result<Kept> {
            let mut state = match left {
                Some(state) => state.clone(),
                None => State::new(id, &origin, &name, cgroup.id()?)?,
            };
            imposed.write_down(&mut state);
            state.pending = None;
            state.unwritten |= left != Some(&state);
            let kept = Kept::new(keeper, state);
            kept.update(|_| {});
            Ok(kept)
        });
        let kept = kept.transpose()?;
        if let (Some(standing), Some(state)) = (&mut standing, left) {
            standing.stands_again(state);
        }
        Ok(Container {
            id,
            roster: Arc::downgrade(roster),
            origin,
            imposed: Mutex::new(imposed),
            account,
            metering: Mutex::new(meters),
            budget: Mutex::new(Budget::new(Instant::now())),
            complaint: Mutex::default(),
            path: cgroup.path().to_owned(),
            dir,
            cgroup: Mutex::new(Some(cgroup)),
            standing: Mutex::new(standing),
            overdrawn: AtomicBool::new(false),
            crossed: Arc::clone(crossed),
            name,
            beancounter,
            attached: Mutex::new(None),
            owned: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            forgotten: Mutex::new(false),
            claims,
            kept,
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

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How often the kernel's programs refused this row so far; none where they do
    /// not, or nobody can tell.
    pub(crate) fn failcnt(&self, resource: Resource) -> Option<u64> {
        self.account.as_ref()?.failcnt(resource).ok()?
    }

    pub(crate) fn gone(&self) -> Error {
        no_container(self.id)
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
    left: Option<&State>,
) -> ubc_cgroup::Result<Arc<Account>> {
    let account = match (origin, left) {
        (Origin::Made, None) => Account::open(programs, id, cgroup),
        _ => Account::take_over(programs, id, cgroup),
    };
    account.map(Arc::new)
}

#[cfg(test)]
mod tests;
