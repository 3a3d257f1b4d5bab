//! Meters: what each row holds now.
//!
//! One file for each source of numbers. A [`Meter`] offers findings with a
//! rank, and the best finding of each row is the reading: controllers beat
//! `/proc`, and a faster or exacter source (eBPF iterators) can be put in
//! front with [`Meters::add`]; the others then leave out what it found.

use ubc_core::{Observation, PerResource, Resource};

use crate::files::KeptFile;
use crate::walk::{OwnNamespaces, Walk, Wants};
use crate::{Bounds, Cgroup, Host, Metered, Result};

mod controllers;
mod fds;
mod finding;
mod locks;
pub(crate) mod netlink;
mod netns;
mod round;
mod rules;
mod shm;
mod signals;
mod sockets;
mod tasks;

pub(crate) use finding::default_reason;
pub use finding::{Finding, Findings, Rank};
pub use round::Round;

/// A source of numbers for some rows of one container.
pub trait Meter: Send {
    /// What it is called in messages: `memory controller`, `sock_diag`.
    fn name(&self) -> &'static str;

    /// Adds what it finds. A row it cannot measure this time it leaves alone
    /// or marks absent with the reason; it never reports 0 for "unknown".
    ///
    /// # Errors
    ///
    /// The reading as a whole fails: the cgroup is gone, a kernel file makes
    /// no sense. Processes that vanish are no error.
    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()>;
}

/// What all meters of one reading share.
#[derive(Debug)]
pub struct Pass<'a> {
    cgroup: &'a Cgroup,
    bounds: &'a Bounds,
    own: &'a OwnNamespaces,
    round: &'a Round<'a>,
    walk: Option<&'a Walk>,
}

impl Pass<'_> {
    /// The container.
    pub fn cgroup(&self) -> &Cgroup {
        self.cgroup
    }

    /// How much the reading may cost.
    pub fn bounds(&self) -> &Bounds {
        self.bounds
    }

    /// The readings that began together with this one.
    pub(crate) fn round(&self) -> &Round<'_> {
        self.round
    }

    /// The processes, for meters that run after the walk.
    fn walk(&self) -> &Walk {
        self.walk.expect("meters that need the walk run after it")
    }
}

/// The meters of one container.
pub struct Meters {
    cgroup: Cgroup,
    bounds: Bounds,
    own: OwnNamespaces,
    /// A file that every cgroup has, for as long as it is there.
    alive: Option<KeptFile>,
    has_children: bool,
    /// Sources that need no walk over processes, best first.
    direct: Vec<Box<dyn Meter>>,
    /// Sources that look at what the walk found.
    walking: Vec<Box<dyn Meter>>,
    metered: PerResource<Metered>,
    buffer: Vec<u8>,
}

impl Meters {
    /// Meters for a container: opens the controller files that exist.
    ///
    /// # Errors
    ///
    /// The cgroup is gone or unreadable.
    pub fn open(host: &Host, cgroup: Cgroup) -> Result<Meters> {
        let controllers = controllers::Controllers::open(cgroup.as_dir(), cgroup.path())?;
        let alive = KeptFile::open(cgroup.as_dir(), cgroup.path(), "cgroup.events")?;
        let capabilities = host.capabilities();
        Ok(Meters {
            bounds: Bounds::default(),
            own: OwnNamespaces::probe(),
            alive,
            has_children: capabilities.children,
            direct: vec![Box::new(controllers)],
            walking: vec![
                Box::new(fds::Fds),
                Box::new(locks::Locks),
                Box::new(sockets::Sockets::default()),
                Box::new(rules::Rules::default()),
                Box::new(signals::Signals),
                Box::new(shm::Shm::default()),
                // Last: privvmpages needs to know shmpages.
                Box::new(tasks::Tasks { zombies: capabilities.children }),
            ],
            metered: PerResource::from_fn(|_| Metered::Absent("not read yet".into())),
            buffer: Vec::new(),
            cgroup,
        })
    }

    /// Puts a meter in front of the others; it runs before the processes are
    /// looked at, and rows it finds exactly save that work.
    pub fn add(&mut self, meter: Box<dyn Meter>) {
        self.direct.insert(0, meter);
    }

    /// Changes how much a reading may cost.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The container.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// How each row was measured by the last reading.
    pub fn metered(&self) -> &PerResource<Metered> {
        &self.metered
    }

    /// One reading of all rows. A row that cannot be measured has no number
    /// ([`Observation::default`]); [`Meters::metered`] says why.
    ///
    /// # Errors
    ///
    /// The cgroup was removed ([`crate::Error::Removed`]), or the kernel
    /// answers something this version does not understand.
    pub fn read(&mut self) -> Result<PerResource<Observation>> {
        self.read_in(&Round::default())
    }

    /// As [`Meters::read`], together with others: the numbers are of a moment
    /// after the round began.
    ///
    /// # Errors
    ///
    /// As [`Meters::read`].
    pub fn read_in(&mut self, round: &Round<'_>) -> Result<PerResource<Observation>> {
        let mut findings = Findings::default();
        if let Some(file) = &self.alive {
            file.read(&mut self.buffer)?;
        }
        let mut pass =
            Pass { cgroup: &self.cgroup, bounds: &self.bounds, own: &self.own, round, walk: None };
        for meter in &mut self.direct {
            meter.read(&pass, &mut findings)?;
        }
        let needs_fdinfo = locks::needs_fdinfo(round, &findings);
        let wants = wants(&findings, self.has_children);
        let descriptors = wants.descriptors || needs_fdinfo;
        let wants = Wants { descriptors, fdinfo_locks: needs_fdinfo, ..wants };
        let seen = findings.take_surroundings();
        let walk = Walk::new(&self.cgroup, &self.own, wants, seen, &self.bounds)?;
        pass.walk = Some(&walk);
        for meter in &mut self.walking {
            meter.read(&pass, &mut findings)?;
        }
        for cut in &walk.cuts {
            findings.cut(*cut);
        }
        let (rows, metered) = findings.finish();
        self.metered = metered;
        Ok(rows)
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |meters: &[Box<dyn Meter>]| meters.iter().map(|m| m.name()).collect::<Vec<_>>();
        f.debug_struct("Meters")
            .field("cgroup", &self.cgroup)
            .field("direct", &names(&self.direct))
            .field("walking", &names(&self.walking))
            .finish_non_exhaustive()
    }
}

/// What is still to be found out by looking at processes.
fn wants(findings: &Findings, has_children: bool) -> Wants {
    use Resource::{
        LockedPages, NumIptEnt, NumProc, NumSigInfo, OomGuarPages, PhysPages, PrivvmPages,
        ShmPages, SwapPages,
    };
    let lacks = |resource| !findings.has(resource);
    let counted = |resource| findings.is_from(resource, Rank::Program);
    let private = !lacks(PrivvmPages) || findings.private().is_some();
    let sockets = sockets::ROWS.iter().any(|row| lacks(*row) || findings.is_from(*row, Rank::Pass));
    Wants {
        status: [NumProc, LockedPages, SwapPages].into_iter().any(lacks) || !private,
        zombies: lacks(NumProc) && has_children,
        resident: lacks(PhysPages) || lacks(OomGuarPages),
        descriptors: files_rows().any(lacks),
        fdinfo_locks: false,
        surroundings: lacks(NumSigInfo) || lacks(NumIptEnt) || !counted(ShmPages) || sockets,
        mounts: lacks(ShmPages),
    }
}

/// The rows that take a look at every descriptor, if nothing better has them.
/// Whose a socket's buffers are tells the process that holds it.
pub(crate) fn files_rows() -> impl Iterator<Item = Resource> {
    [Resource::NumFile, Resource::NumPty].into_iter().chain(sockets::ROWS)
}

#[cfg(test)]
mod tests;
