//! One container: its beancounter, its meters, its limits, its view.

mod attach;
mod imposed;
mod rows;
mod standing;
mod status;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{debug, warn};
use parking_lot::Mutex;
use ubc_cgroup::{Account, Cgroup, Host, Meters, Programs};
use ubc_core::{Beancounter, ContainerId, Reading};

use super::budget::Budget;
use super::server::Bell;
use crate::host::Claims;
use attach::Attached;
use imposed::Imposed;
use standing::Standing;
pub(crate) use status::describe;

/// How long a reading waits for a change of limits to be over.
const CHANGE: Duration = Duration::from_millis(100);

/// Where a container comes from.
pub(super) enum Origin {
    /// Made here, cgroup and all; it goes with all of it.
    Made,
    /// Somebody else's; only our things go.
    Adopted {
        /// What its runtime calls it.
        name: Option<String>,
    },
}

/// The machine, as a new container needs it.
pub(super) struct Surroundings<'a> {
    pub(super) host: &'a Host,
    pub(super) programs: Option<&'a Arc<Programs>>,
    pub(super) claims: &'a Claims,
    /// Rung when a container crosses its guarantee.
    pub(super) crossed: &'a Arc<Bell>,
}

/// A container the daemon knows.
pub(super) struct Container {
    id: ContainerId,
    origin: Origin,
    /// None once it has been taken away.
    cgroup: Mutex<Option<Cgroup>>,
    name: String,
    beancounter: Beancounter,
    /// With the kernel's programs.
    account: Option<Arc<Account>>,
    metering: Mutex<Metering>,
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

/// The meters, and the account of what reading them cost.
struct Metering {
    meters: Meters,
    budget: Budget,
}

impl Container {
    /// Takes charge of a cgroup.
    pub(super) fn new(
        id: ContainerId,
        machine: &Surroundings<'_>,
        cgroup: Cgroup,
        beancounter: Beancounter,
        origin: Origin,
    ) -> std::result::Result<Container, ubc_cgroup::Error> {
        let Surroundings { host, programs, claims, crossed } = *machine;
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
        Ok(Container {
            id,
            origin,
            imposed: Mutex::new(Imposed::new(&cgroup, account.clone())?),
            account,
            metering: Mutex::new(Metering { meters, budget: Budget::new(Instant::now()) }),
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

    pub(super) fn id(&self) -> ContainerId {
        self.id
    }

    /// Its cgroup, below the root of the hierarchy.
    pub(super) fn cgroup(&self) -> &str {
        &self.name
    }

    /// The rows now. Readers that ask for more than their share of work wait.
    pub(super) fn reading(&self) -> io::Result<Reading> {
        let mut metering = self.metering.lock();
        let wait = metering.budget.wait(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let started = Instant::now();
        let observed = metering.meters.read().map_err(|error| match error {
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
        let now = Instant::now();
        metering.budget.spend(now, now - started);
        let reading = self.beancounter.reading();
        self.note_standing(&reading);
        Ok(reading)
    }

    /// Takes its view away; one made here is killed and its cgroup removed, one
    /// that was taken over gets back the limits and the schedule it came with,
    /// and is left alone. The first call does the work; one at the same time
    /// waits for it.
    pub(super) fn end(&self) {
        // Held to the end: whoever comes second waits here.
        let mut held = self.cgroup.lock();
        let Some(cgroup) = held.take() else { return };
        if let Some(attached) = self.attached.lock().take()
            && attached.process.is_alive()
            && let Err(error) = attached.view.detach(&attached.process)
        {
            debug!("container {}: {error}", self.id);
        }
        self.stand_down();
        let gone = match self.origin {
            Origin::Made => cgroup.kill().and_then(|()| cgroup.remove()),
            Origin::Adopted { .. } => {
                self.imposed.lock().give_back(&self.name);
                Ok(())
            }
        };
        match gone {
            Ok(()) | Err(ubc_cgroup::Error::Removed { .. }) => {}
            Err(error) => warn!("container {}: {error}", self.id),
        }
        if let Some(account) = &self.account
            && let Err(error) = account.close()
        {
            warn!("container {}: {error}", self.id);
        }
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether its init is known and still lives.
    pub(super) fn lives(&self) -> bool {
        self.attached.lock().as_ref().is_some_and(|attached| attached.process.is_alive())
    }

    /// Whether all of it is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether the connection that made it is still there.
    pub(super) fn is_owned(&self) -> bool {
        self.owned.load(Ordering::SeqCst)
    }

    /// The connection that made it is no longer interested.
    pub(super) fn disown(&self) {
        self.owned.store(false, Ordering::SeqCst);
    }

    /// Runs the first caller's work; a second one waits until it is done.
    pub(super) fn once_forgotten(&self, work: impl FnOnce()) {
        let mut forgotten = self.forgotten.lock();
        if !std::mem::replace(&mut *forgotten, true) {
            work();
        }
    }
}

/// A new container holds nothing yet; one that runs has to be looked at.
fn account(
    programs: &Arc<Programs>,
    id: ContainerId,
    cgroup: &Cgroup,
    origin: &Origin,
) -> std::result::Result<Arc<Account>, ubc_cgroup::Error> {
    let account = match origin {
        Origin::Made => Account::open(programs, id, cgroup),
        Origin::Adopted { .. } => Account::take_over(programs, id, cgroup),
    };
    account.map(Arc::new)
}
