//! All containers of this machine.

mod adopt;
mod rank;

use std::sync::Arc;

use log::{debug, info, warn};
use parking_lot::Mutex;
use ubc_cgroup::{Cgroup, Host, Programs, Schedule};
use ubc_core::{ContainerId, Registry};
use ubc_procfs::Place;
use ubc_procfs::text::meminfo::MemorySize;

use super::container::{Container, Origin, Surroundings};
use super::names::Names;
use super::oom::Pressures;
use super::refusals::Refusals;
use super::server::Bell;
use super::watch::Watch;
use crate::error::{Failure, Kind, Result};
use crate::host::{self, CGROUP, Claims};
use crate::paths::RunDir;
use crate::protocol::{Unenforced, Wanted};

/// The machine and its containers.
pub(super) struct Node {
    run: RunDir,
    host: Host,
    /// None: this kernel takes none.
    programs: Option<Arc<Programs>>,
    claims: Claims,
    /// None without programs that refuse.
    refusals: Option<Arc<Refusals>>,
    registry: Registry,
    watch: Watch,
    bell: Bell,
    names: Mutex<Names>,
    pressures: Arc<Pressures>,
    /// Held while the out-of-memory order is made.
    ranking: Mutex<()>,
    /// Newest last.
    containers: Mutex<Vec<Arc<Container>>>,
}

impl Node {
    /// Looks at the machine, and tests what it claims.
    pub(super) fn new(run: RunDir, bell: Bell) -> Result<Arc<Node>> {
        let host = host::probe()?;
        let programs = host::programs(&host)
            .inspect_err(|reason| info!("no programs in the kernel: {reason}"))
            .ok();
        let claims = Claims::tested(&host, programs.as_deref());
        let registry = Registry::new();
        let failed =
            |error: std::io::Error| Failure::system(format!("cannot wait for containers: {error}"));
        let refusing = programs.as_ref().filter(|programs| programs.powerless().is_none());
        let refusals = refusing.map(Refusals::start).transpose().map_err(failed)?;
        let watch = Watch::new().map_err(failed)?;
        let containers = Mutex::new(Vec::new());
        let pressures = Pressures::new().map_err(failed)?;
        let names = Mutex::new(Names::load(run.state()));
        let node = Arc::new(Node {
            run,
            host,
            programs,
            claims,
            refusals,
            registry,
            watch,
            bell,
            names,
            pressures,
            ranking: Mutex::default(),
            containers,
        });
        let weak = Arc::downgrade(&node);
        let ended = move |id| {
            if let Some(node) = weak.upgrade() {
                node.ended(id);
            }
        };
        node.watch.start(ended).map_err(failed)?;
        let weak = Arc::downgrade(&node);
        let look = move |scarce| {
            if let Some(node) = weak.upgrade() {
                node.rank(scarce);
            }
        };
        node.pressures.start(look).map_err(failed)?;
        Ok(node)
    }

    /// What a container needs to know of the machine.
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            host: &self.host,
            programs: self.programs.as_ref(),
            claims: &self.claims,
            crossed: self.pressures.bell(),
        }
    }

    /// The machine.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// The refusals as they happen.
    pub(super) fn refusals(&self) -> Result<&Refusals> {
        self.refusals.as_deref().ok_or_else(|| {
            let message = "nothing to watch: no program refuses here (see `ubc doctor`)";
            Failure::new(Kind::Unavailable, message)
        })
    }

    /// Those that have not ended, newest first.
    pub(super) fn containers(&self) -> Vec<Arc<Container>> {
        let containers = self.containers.lock();
        containers.iter().rev().filter(|container| !container.has_ended()).cloned().collect()
    }

    /// The container with this id, if it has not ended.
    pub(super) fn find(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.entry(id).filter(|container| !container.has_ended())
    }

    fn entry(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.containers.lock().iter().find(|container| container.id() == id).cloned()
    }

    /// Whether not even an ended container is left.
    pub(super) fn is_empty(&self) -> bool {
        self.containers.lock().is_empty()
    }

    /// Something ended: the daemon may be idle now.
    pub(super) fn ring(&self) {
        self.bell.ring();
    }

    /// Makes a container's cgroup and beancounter, with limits
    /// and a schedule. On an error
    /// nothing of it is left.
    pub(super) fn create(
        &self,
        id: ContainerId,
        limits: &Wanted,
        schedule: &Schedule,
        strict: bool,
        parent: Option<&str>,
    ) -> Result<(Arc<Container>, Vec<Unenforced>)> {
        if id.is_host() {
            return Err(Failure::usage("container id 0 is the host; accepted: 1 to 99999999"));
        }
        let mut containers = self.containers.lock();
        if containers.iter().any(|container| container.id() == id) {
            return Err(in_use(id, "a container runs under it"));
        }
        let cgroup = self.fresh_cgroup(id, parent)?;
        let beancounter =
            self.registry.get_or_create(id).map_err(|error| Failure::new(Kind::Software, error))?;
        let container = Container::new(id, &self.surroundings(), cgroup, beancounter, Origin::Made)
            .map_err(|error| of(id, &error))?;
        let container = Arc::new(container);
        match container.set(limits, schedule, strict) {
            Ok(unenforced) => {
                info!("container {id}: created");
                containers.push(Arc::clone(&container));
                Ok((container, unenforced))
            }
            Err(failure) => {
                container.end();
                drop(container);
                self.unregister(id);
                Err(failure)
            }
        }
    }

    /// A cgroup of the container's own. One that somebody left behind is
    /// replaced, unless something lives in it.
    fn fresh_cgroup(&self, id: ContainerId, parent: Option<&str>) -> Result<Cgroup> {
        let failed = |error: ubc_cgroup::Error| of(id, &error);
        let name = match parent {
            None => format!("{CGROUP}/{id}"),
            Some(parent) => {
                let wrong = |error| Failure::usage(format!("--cgroup {parent}: {error}"));
                let parent = Cgroup::open(&self.host, parent).map_err(wrong)?;
                format!("{}/{id}", parent.name().as_str())
            }
        };
        if let Ok(old) = Cgroup::open(&self.host, &name) {
            if old.populated().map_err(failed)? {
                return Err(in_use(id, &format!("processes live in cgroup {name}")));
            }
            old.remove().map_err(failed)?;
        }
        Cgroup::create(&self.host, &name).map_err(failed)
    }

    /// Puts the view into a container's /proc.
    pub(super) fn attach(
        &self,
        container: &Arc<Container>,
        pid: u32,
        meminfo: Option<MemorySize>,
    ) -> Result<()> {
        container.attach(pid, &Place { meminfo, ..Place::default() }, &self.watch)?;
        self.rank(false);
        Ok(())
    }

    /// The init of a container has ended. Its id stays in use as long as the
    /// command that made it is still clearing up.
    fn ended(&self, id: ContainerId) {
        // A container that got the id of one just released lives.
        if let Some(container) = self.entry(id).filter(|container| !container.lives()) {
            container.end();
            if !container.is_owned() {
                self.forget(&container);
            }
        }
    }

    /// The command that made a container has nothing more to do with it: one
    /// that still runs lives on, anything else goes.
    pub(super) fn disown(&self, container: &Arc<Container>, runs: bool) {
        container.disown();
        if !runs {
            container.end();
        }
        if container.has_ended() {
            self.forget(container);
        }
    }

    /// Takes an ended container off the list; its id is free again then.
    fn forget(&self, container: &Arc<Container>) {
        let id = container.id();
        container.once_forgotten(|| {
            let home = self.run.container(id);
            if let Err(error) = std::fs::remove_dir_all(&home)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                warn!("cannot remove {}: {error}", home.display());
            }
            self.containers.lock().retain(|other| !Arc::ptr_eq(other, container));
            self.unregister(id);
            info!("container {id}: removed");
            self.pressures.bell().ring();
        });
        self.ring();
    }

    fn unregister(&self, id: ContainerId) {
        if let Err(error) = self.registry.remove(id) {
            warn!("container {id}: {error}");
        }
    }

    /// Puts back what nobody looks after from now on, and takes away the cgroup
    /// all containers share, unless one is in it.
    pub(super) fn close(&self) {
        for container in self.containers() {
            container.stand_down();
        }
        let path = self.host.mount().join(CGROUP);
        if let Err(error) = std::fs::remove_dir(&path) {
            debug!("cannot remove {}: {error}", path.display());
        }
    }
}

fn of(id: ContainerId, error: &ubc_cgroup::Error) -> Failure {
    Failure::system(format!("container {id}: {error}"))
}

fn in_use(id: ContainerId, why: &str) -> Failure {
    Failure::new(Kind::InUse, format!("container id {id} is in use: {why}"))
}
