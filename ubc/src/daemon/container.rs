//! One container: its beancounter, its meters, its limits, its view.

mod attach;
mod rows;
mod status;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use log::{debug, warn};
use parking_lot::Mutex;
use ubc_cgroup::{Account, Cgroup, Host, Limiter, Meters, Programs, RowStatus};
use ubc_core::{Beancounter, ContainerId, PerResource, Reading};

use super::budget::Budget;
use crate::protocol::Wanted;
use attach::Attached;
pub(super) use attach::Place;
pub(crate) use status::describe;

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

/// A container the daemon knows.
pub(super) struct Container {
    id: ContainerId,
    origin: Origin,
    /// None once it has been taken away.
    cgroup: Mutex<Option<Cgroup>>,
    name: String,
    beancounter: Beancounter,
    limiter: Limiter,
    /// With the kernel's programs.
    account: Option<Arc<Account>>,
    metering: Mutex<Metering>,
    /// What is asked of each row; also orders changes of limits.
    configured: Mutex<Wanted>,
    attached: Mutex<Option<Attached>>,
    /// `owned` falls and `ended` rises; whoever is second must see the first,
    /// hence sequential consistency on both.
    owned: AtomicBool,
    ended: AtomicBool,
    forgotten: Mutex<bool>,
    status: PerResource<RowStatus>,
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
        host: &Host,
        programs: Option<&Arc<Programs>>,
        cgroup: Cgroup,
        beancounter: Beancounter,
        mut status: PerResource<RowStatus>,
        origin: Origin,
    ) -> std::result::Result<Container, ubc_cgroup::Error> {
        let name = cgroup.name().as_str().to_owned();
        let metered = Cgroup::open(host, &name)?;
        if matches!(origin, Origin::Adopted { .. }) {
            status = status::of_cgroup(status, &cgroup);
        }
        let mut limiter = Limiter::new(&cgroup)?;
        let mut meters = Meters::open(host, metered)?;
        let account = programs.map(|programs| account(programs, id, &cgroup, &origin));
        let account = account.transpose()?;
        if let Some(account) = &account {
            limiter = limiter.with_account(Arc::clone(account));
            account.meters().into_iter().for_each(|meter| meters.add(meter));
        }
        Ok(Container {
            id,
            origin,
            limiter,
            account,
            metering: Mutex::new(Metering { meters, budget: Budget::new(Instant::now()) }),
            cgroup: Mutex::new(Some(cgroup)),
            name,
            beancounter,
            configured: Mutex::new(Wanted::default()),
            attached: Mutex::new(None),
            owned: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            forgotten: Mutex::new(false),
            status,
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
        let now = Instant::now();
        metering.budget.spend(now, now - started);
        Ok(self.beancounter.reading())
    }

    /// Takes its view away; one made here is killed and its cgroup removed, one
    /// that was taken over is left alone. The first
    /// call does the work; one at the same time waits for it.
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
        let gone = match self.origin {
            Origin::Made => cgroup.kill().and_then(|()| cgroup.remove()),
            Origin::Adopted { .. } => Ok(()),
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
