//! One container: its beancounter, its meters, its limits, its view.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use log::{debug, warn};
use parking_lot::Mutex;
use ubc_cgroup::{Bounds, Cgroup, Enforced, Host, Limiter, Meters, RowStatus};
use ubc_core::{Beancounter, ContainerId, Limits, PerResource, Reading, Resource};
use ubc_procfs::{ContainerProcess, ProcView};

use super::budget::Budget;
use super::conversation::no_container;
use super::sources::Own;
use super::watch::Watch;
use crate::error::{Failure, Kind, Result};
use crate::protocol::{self, Status, Unenforced, Wanted};

/// Where every container has its procfs.
const PROC: &str = "/proc";

/// A container the daemon knows.
pub(super) struct Container {
    id: ContainerId,
    /// None once it has been taken away.
    cgroup: Mutex<Option<Cgroup>>,
    name: String,
    beancounter: Beancounter,
    limiter: Limiter,
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

/// A container's init and the view in its /proc.
struct Attached {
    process: ContainerProcess,
    view: ProcView,
}

/// The meters, and the account of what reading them cost.
struct Metering {
    meters: Meters,
    budget: Budget,
}

impl Container {
    /// Takes charge of an empty cgroup.
    pub(super) fn new(
        id: ContainerId,
        host: &Host,
        cgroup: Cgroup,
        beancounter: Beancounter,
        status: PerResource<RowStatus>,
    ) -> std::result::Result<Container, ubc_cgroup::Error> {
        let name = cgroup.name().as_str().to_owned();
        let metered = Cgroup::open(host, &name)?;
        Ok(Container {
            id,
            limiter: Limiter::new(&cgroup)?,
            metering: Mutex::new(Metering {
                meters: Meters::open(host, metered)?,
                budget: Budget::new(Instant::now()),
            }),
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

    /// Changes limits, all or none. A limit that nothing here imposes is kept
    /// as configured, told, and never shown in the rows.
    pub(super) fn set(&self, wanted: &Wanted, strict: bool) -> Result<Vec<Unenforced>> {
        let unenforced = unenforced(&self.status, wanted);
        if strict && let Some(row) = unenforced.first() {
            return Err(Failure::new(
                Kind::Limit,
                format!("{} cannot be limited here: {}", row.resource, row.why),
            ));
        }
        let mut configured = self.configured.lock();
        let imposed = PerResource::from_fn(|resource| {
            wanted[resource].filter(|_| imposes(&self.status[resource].enforced))
        });
        self.limiter.apply(&imposed).map_err(|error| {
            Failure::new(Kind::Limit, format!("container {}: {error}", self.id))
        })?;
        let rows: Vec<(Resource, Limits)> =
            imposed.iter().filter_map(|(resource, limits)| Some((resource, (*limits)?))).collect();
        self.beancounter.set_many(&rows).map_err(|error| Failure::new(Kind::Software, error))?;
        for (resource, limits) in wanted.iter() {
            if limits.is_some() {
                configured[resource] = *limits;
            }
        }
        Ok(unenforced)
    }

    /// Puts the view into its /proc and waits for the end of its init.
    pub(super) fn attach(self: &Arc<Self>, pid: u32, watch: &Watch) -> Result<()> {
        // In this order everywhere; held, so that it does not end meanwhile.
        let cgroup = self.cgroup.lock();
        let mut attached = self.attached.lock();
        let cgroup = cgroup.as_ref().ok_or_else(|| no_container(self.id))?;
        if attached.is_some() {
            let message = format!("container {} has the view already", self.id);
            return Err(Failure::new(Kind::InUse, message));
        }
        let failed = |error: &dyn std::fmt::Display| {
            Failure::system(format!("container {}: {error}", self.id))
        };
        let process = ContainerProcess::open(pid).map_err(|error| failed(&error))?;
        // Asked before its end is looked for, so that the answer is about the
        // process that is held.
        let (pids, _) = cgroup.pids(&Bounds::default()).map_err(|error| failed(&error))?;
        if !pids.contains(&pid) || !process.is_alive() {
            return Err(failed(&format!("process {pid} is not in its cgroup {}", self.name)));
        }
        let source = Arc::new(Own::new(self));
        let view = ProcView::attach(self.id, &process, Path::new(PROC), source)
            .map_err(|error| failed(&error))?;
        watch.add(self.id, process.pidfd()).map_err(|error| failed(&error))?;
        *attached = Some(Attached { process, view });
        Ok(())
    }

    /// Everything there is to tell.
    pub(super) fn describe(&self) -> Result<protocol::Container> {
        let reading = self.reading().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_container(self.id),
            _ => Failure::system(format!("container {}: {error}", self.id)),
        })?;
        let metered = self.metering.lock().meters.metered().clone();
        let status = PerResource::from_fn(|resource| {
            describe(&RowStatus {
                metered: metered[resource].clone(),
                enforced: self.status[resource].enforced.clone(),
            })
        });
        Ok(protocol::Container {
            id: self.id,
            pid: self.attached.lock().as_ref().map(|attached| attached.process.pid()),
            cgroup: self.name.clone(),
            reading,
            configured: *self.configured.lock(),
            status,
        })
    }

    /// Kills what is left of it and takes its view and cgroup away. The first
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
        match cgroup.kill().and_then(|()| cgroup.remove()) {
            Ok(()) | Err(ubc_cgroup::Error::Removed { .. }) => {}
            Err(error) => warn!("container {}: {error}", self.id),
        }
        self.ended.store(true, Ordering::SeqCst);
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

fn imposes(enforced: &Enforced) -> bool {
    matches!(enforced, Enforced::By { .. } | Enforced::Guarantee(_))
}

/// The limits asked for that nothing here imposes. No limit needs nobody.
fn unenforced(status: &PerResource<RowStatus>, wanted: &Wanted) -> Vec<Unenforced> {
    let rows = wanted.iter().filter_map(|(resource, limits)| {
        let limits: Limits = (*limits)?;
        let enforced = &status[resource].enforced;
        (!limits.is_unlimited() && !imposes(enforced)).then(|| Unenforced {
            resource,
            limits,
            why: match enforced {
                Enforced::ObservedOnly(why) => why.to_string(),
                enforced => enforced.to_string(),
            },
        })
    });
    rows.collect()
}

/// A row's status in words.
pub(crate) fn describe(status: &RowStatus) -> Status {
    Status {
        metered_by: status.metered.to_string(),
        enforced_by: status.enforced.to_string(),
        measured: status.metered.is_present(),
        enforced: status.enforced.is_enforced(),
    }
}
