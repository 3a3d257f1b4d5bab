//! All containers of this machine.

mod adopt;
mod asked;
mod ending;
mod options;
mod owned;
mod rank;
mod readings;
mod resume;
mod roster;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use log::{info, warn};
use parking_lot::Mutex;
use ubc_cgroup::{Cgroup, Host, Programs, ubc_bpf};
use ubc_core::ContainerId;
use ubc_procfs::Source;

use crate::container::{Container, Origin, Surroundings};
use crate::error::{Error, ErrorKind, Result, may_pass};
use crate::names::Names;
use crate::refusals::Refusals;
use crate::sources::Everyone;
use crate::{Claims, Subscription, Unenforced};

pub use asked::{Adopt, Create};
pub use options::{CGROUP, Lifecycle, Options};
pub use owned::Owned;
pub(crate) use roster::Roster;

/// A machine and its containers, as far as they were made or taken over here.
///
/// Dropping the last handle closes it, as [`Node::close`] does; a container's
/// [`Owned`] holds one.
pub struct Node {
    own: Weak<Node>,
    options: Options,
    claims: Claims,
    /// None without programs that refuse.
    refusals: Option<Arc<Refusals>>,
    names: Mutex<Names>,
    roster: Arc<Roster>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// Looks at the machine, puts the kernel's programs on duty or takes them
    /// over, and tests what it claims: processes are started, and refused, in
    /// cgroups that are removed again. That takes up to some seconds, and longer
    /// when the programs are new to the kernel. On a kernel that takes no
    /// programs it goes on without.
    ///
    /// # Errors
    ///
    /// Not root ([`ErrorKind::NoPermission`]); no cgroup v2 is mounted
    /// ([`ErrorKind::Unavailable`]); out of descriptors or threads.
    pub fn open(options: Options) -> Result<Arc<Node>> {
        let host = Host::probe().map_err(|error| {
            let kind = match error {
                ubc_cgroup::Error::NotRoot { .. } => ErrorKind::NoPermission,
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, error)
        })?;
        let programs = match &options.programs_root {
            Some(root) => programs(&host, root, options.all_or_none)?,
            None => None,
        };
        let claims = if options.tested { Claims::tested } else { Claims::untested };
        let claims = claims(&host, programs.as_deref());
        let failed =
            |error: std::io::Error| Error::system(format!("cannot wait for containers: {error}"));
        let roster = Roster::new(host, programs, options.lifecycle.clone()).map_err(failed)?;
        let roster = Arc::new(roster);
        let refusing = roster.programs.as_ref();
        let refusing = refusing.filter(|programs| programs.powerless().is_none());
        let refusals = refusing.map(|programs| Refusals::start(programs, &roster));
        let (refusals, thread) = refusals.transpose().map_err(failed)?.unzip();
        let mut node = Node {
            own: Weak::new(),
            claims,
            refusals,
            names: Mutex::new(Names::load(options.state.clone())),
            options,
            roster: Arc::clone(&roster),
            threads: thread.into_iter().collect(),
        };
        // From here on, what fails ends the threads that run.
        let ended = {
            let roster = Arc::clone(&roster);
            move |id| roster.ended(id)
        };
        node.threads.push(roster.watch().start(ended).map_err(failed)?);
        let look = {
            let roster = Arc::clone(&roster);
            move |scarce| roster.rank(scarce)
        };
        node.threads.push(roster.pressures.start(look).map_err(failed)?);
        Ok(Arc::new_cyclic(|own| {
            node.own = Weak::clone(own);
            node
        }))
    }

    /// What a container needs to know of the machine.
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            roster: &self.roster,
            host: self.host(),
            programs: self.programs(),
            claims: &self.claims,
            crossed: self.roster.pressures.bell(),
            keeper: self.options.keeper.as_ref(),
        }
    }

    /// The machine.
    pub fn host(&self) -> &Host {
        &self.roster.host
    }

    /// What was tested of this machine: who meters and who enforces each row of
    /// a container that is made here, and who acts on each knob.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The kernel's programs, where it takes them.
    pub fn programs(&self) -> Option<&Arc<Programs>> {
        self.roster.programs.as_ref()
    }

    /// The refusals by the kernel's programs from now on: of one container, or
    /// of all that this node made or took over, as the last one to do so. What
    /// controllers refuse is in failcnt of the next reading.
    ///
    /// # Errors
    ///
    /// No program refuses here ([`ErrorKind::Unavailable`]), or out of
    /// descriptors.
    pub fn subscribe(&self, id: Option<ContainerId>) -> Result<Subscription> {
        self.hear(|refusals| refusals.subscribe(id))
    }

    /// As [`Node::subscribe`], and before these come those since this node was opened, the
    /// newest 1024 of them. What was refused while no node listened is among them: so who
    /// listened to the one before, which ended, goes on and misses nothing.
    ///
    /// # Errors
    ///
    /// As [`Node::subscribe`].
    pub fn subscribe_since_start(&self, id: Option<ContainerId>) -> Result<Subscription> {
        self.hear(|refusals| refusals.subscribe_since_start(id))
    }

    fn hear(
        &self,
        subscribe: impl FnOnce(&Refusals) -> std::io::Result<Subscription>,
    ) -> Result<Subscription> {
        let refusals = self.refusals.as_deref().ok_or_else(|| {
            let message = "nothing to watch: no program refuses here (see `ubc doctor`)";
            Error::new(ErrorKind::Unavailable, message)
        })?;
        subscribe(refusals)
            .map_err(|error| Error::system(format!("cannot subscribe to refusals: {error}")))
    }

    /// The numbers of every container, for a view of the host
    /// ([`ubc_procfs::PlainView`]).
    pub fn source(&self) -> Arc<dyn Source> {
        Arc::new(Everyone::new(&self.roster))
    }

    /// Those that have not ended, newest first.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        self.roster.containers()
    }

    /// The container with this id, if it has not ended.
    pub fn find(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.roster.find(id)
    }

    /// Whether not even an ended container is left.
    pub fn is_empty(&self) -> bool {
        self.roster.list().is_empty()
    }

    /// Makes a container's cgroup and beancounter, with limits and a schedule;
    /// also tells which of them nothing here imposes. No process is in it:
    /// [`Container::path`], [`Container::dir`] and [`Container::add`] are the ways
    /// in.
    ///
    /// # Errors
    ///
    /// The id or its cgroup is in use ([`ErrorKind::InUse`]), there is no such
    /// parent, a limit is wrong, or something could not be done. On an error
    /// nothing of it is left.
    pub fn create(&self, wanted: &Create<'_>) -> Result<(Owned, Vec<Unenforced>)> {
        let Create { id, ref limits, ref schedule, strict, parent } = *wanted;
        let node = self.own()?;
        if id.is_host() {
            return Err(Error::invalid("container id 0 is the host; accepted: 1 to 99999999"));
        }
        let mut containers = self.roster.list();
        if containers.iter().any(|container| container.id() == id) {
            return Err(in_use(id, "a container runs under it"));
        }
        let cgroup = self.fresh_cgroup(id, parent)?;
        let path = cgroup.path().to_owned();
        let container = self.count(id, cgroup).inspect_err(|_| {
            // It is empty, and this takes no descriptor: that may be what is missing.
            if let Err(error) = std::fs::remove_dir(&path) {
                warn!("{} stays behind: {error}", path.display());
            }
            self.roster.unregister(id);
        })?;
        let container = Arc::new(container);
        match container.impose(limits, schedule, strict) {
            Ok(unenforced) => {
                info!("container {id}: created");
                containers.push(Arc::clone(&container));
                Ok((Owned::new(&node, container), unenforced))
            }
            Err(failure) => {
                container.end_or_warn();
                drop(container);
                self.roster.unregister(id);
                Err(failure)
            }
        }
    }

    /// Begins to count a cgroup that was made for it.
    fn count(&self, id: ContainerId, cgroup: Cgroup) -> Result<Container> {
        let beancounter = self
            .roster
            .registry
            .get_or_create(id)
            .map_err(|error| Error::new(ErrorKind::Internal, error))?;
        let machine = self.surroundings();
        Container::new(id, &machine, cgroup, beancounter, Origin::Made, None)
            .map_err(|error| of(id, &error))
    }

    /// A cgroup of the container's own. One that somebody left behind is
    /// replaced, unless something lives in it.
    fn fresh_cgroup(&self, id: ContainerId, parent: Option<&str>) -> Result<Cgroup> {
        let failed = |error: ubc_cgroup::Error| of(id, &error);
        let name = match parent {
            None => format!("{}/{id}", self.options.cgroup),
            Some(parent) => {
                let wrong = |error| Error::invalid(format!("parent cgroup {parent}: {error}"));
                let parent = Cgroup::open(self.host(), parent).map_err(wrong)?;
                format!("{}/{id}", parent.name().as_str())
            }
        };
        if let Ok(old) = Cgroup::open(self.host(), &name) {
            if old.populated().map_err(failed)? {
                return Err(in_use(id, &format!("processes live in cgroup {name}")));
            }
            old.remove().map_err(failed)?;
        }
        Cgroup::create(self.host(), &name).map_err(failed)
    }

    /// A handle of its own.
    fn own(&self) -> Result<Arc<Node>> {
        // Nobody who is called has none, but in drop.
        self.own.upgrade().ok_or_else(|| Error::new(ErrorKind::Internal, "the node is closed"))
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("options", &self.options)
            .field("containers", &self.containers())
            .finish_non_exhaustive()
    }
}

/// The kernel's programs; `None` where there are none.
fn programs(host: &Host, root: &Path, all_or_none: bool) -> Result<Option<Arc<Programs>>> {
    let options = ubc_bpf::Options { root: root.to_owned(), ..ubc_bpf::Options::default() };
    match Programs::open(host, &options) {
        Ok(programs) => Ok(Some(programs)),
        Err(error) if all_or_none && may_pass(&error) => {
            Err(Error::system(format!("the kernel's programs are not taken over: {error}")))
        }
        Err(error) => {
            info!("no programs in the kernel: {error}");
            Ok(None)
        }
    }
}

fn of(id: ContainerId, error: &ubc_cgroup::Error) -> Error {
    Error::system(format!("container {id}: {error}"))
}

fn in_use(id: ContainerId, why: &str) -> Error {
    Error::new(ErrorKind::InUse, format!("container id {id} is in use: {why}"))
}

#[cfg(test)]
mod tests;
