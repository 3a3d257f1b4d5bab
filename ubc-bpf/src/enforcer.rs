//! The programs on duty, and the containers they know.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ubc_core::Resource;

use crate::layout;
use crate::maps::{self, Maps, Sizes};
use crate::mechanism::{MECHANISMS, MEMBERSHIP, Mechanism};
use crate::place::{self, Generation, Place};
use crate::queues::Queues;
use crate::types::Types;
use crate::{Error, Result, load};

mod accounts;
mod faults;
mod gates;
mod past;

pub use faults::Faults;

/// How programs are installed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory on a bpf file system where they stay, by default
    /// [`place::DEFAULT`]. Two enforcers with two directories do not know of
    /// each other and would both count.
    pub root: PathBuf,
    /// How much room the kernel sets aside.
    pub sizes: Sizes,
}

impl Default for Options {
    fn default() -> Options {
        Options { root: place::DEFAULT.into(), sizes: Sizes::of_machine() }
    }
}

/// Beside the rows in what was proven.
const PASSES: u64 = 1 << 63;

/// What became of a mechanism on this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its programs are attached and on duty.
    OnDuty,
    /// Not needed: a better one is on duty for the same rows.
    Spare,
    /// The kernel does not take it, for this reason.
    Refused(String),
}

/// A container's place in the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub(crate) u32);

/// Programs that count and refuse, wherever they came from: a process that
/// ends leaves them on duty, and the next one finds them.
#[derive(Debug)]
pub struct Enforcer {
    pub(crate) place: Place,
    pub(crate) maps: Maps,
    pub(crate) generation: Generation,
    pub(crate) sizes: Sizes,
    /// What is told to this one.
    pub(crate) queues: Arc<Queues>,
    standings: Mutex<Vec<Standing>>,
    /// Held while tables are changed that only user space writes, together
    /// with the place's lock.
    tables: Mutex<()>,
    /// While there is one, nobody takes the programs down.
    _user: place::Guard,
}

impl Enforcer {
    /// Takes over what is on duty, or installs everything this kernel takes.
    /// Programs of another build are replaced without a gap: the new ones are
    /// attached beside them, and one store changes over.
    ///
    /// # Errors
    ///
    /// The kernel takes no programs at all ([`Error::NoTypes`], or
    /// [`Error::Refused`] for the one that knows the containers' cgroups); there is
    /// no bpf file system ([`Error::NoPlace`]). Nothing of ours is left then. A
    /// mechanism that the kernel does not take is no error, nor if it takes none:
    /// then nothing is refused, and an [`Observer`](crate::Observer) still counts.
    /// See [`Enforcer::standings`].
    pub fn open(options: &Options) -> Result<Enforcer> {
        let types = Types::default();
        let (place, _others_wait) = loop {
            let place = Place::open(&options.root)?;
            let guard = place.lock()?;
            if place.is_locked_by(&guard) {
                break (place, guard);
            }
        };
        let is_first = !maps::pinned(&place);
        let opened = Self::take_over_or_install(&place, &options.sizes, &types);
        if opened.is_err() && is_first {
            place.remove(place.root())?;
        }
        opened
    }

    fn take_over_or_install(place: &Place, sizes: &Sizes, types: &Types) -> Result<Enforcer> {
        let control = maps::control(place)?.unwrap_or_default();
        if control.abi != layout::ABI && control.generation != 0 {
            let path = place.root().to_owned();
            return Err(Error::OtherForm { path, found: control.abi, known: layout::ABI });
        }
        let ours = Generation::ours(control.generation);
        if control.generation != 0 && place.generation(&ours).is_dir() {
            return Self::take_over(place, sizes, ours, types);
        }
        let next = Generation::ours(control.generation.wrapping_add(1).max(1));
        place.remove(&place.generation(&next))?;
        load::load(&MEMBERSHIP, place, &next, sizes, types)?;
        let mut standings = vec![Standing::Spare; MECHANISMS.len()];
        install_missing(&mut standings, place, &next, sizes, types);
        let enforcer = Enforcer {
            place: place.clone(),
            maps: Maps::open(place)?,
            generation: next,
            sizes: *sizes,
            queues: Arc::new(Queues::new(place, sizes.events)?),
            standings: Mutex::new(standings),
            tables: Mutex::new(()),
            _user: place.use_it()?,
        };
        enforcer.fit_gates()?;
        enforcer.maps.set_control(&layout::Control {
            generation: enforcer.generation.number,
            abi: layout::ABI,
            proven: 0,
        })?;
        enforcer.remove_others()?;
        Ok(enforcer)
    }

    /// Finds what is on duty, and tries again what is not.
    fn take_over(
        place: &Place,
        sizes: &Sizes,
        generation: Generation,
        types: &Types,
    ) -> Result<Enforcer> {
        place.remove_parts(&generation)?;
        let mut standings = Vec::new();
        for mechanism in MECHANISMS {
            standings.push(if place.programs(&generation, mechanism.name)?.is_empty() {
                Standing::Spare
            } else {
                Standing::OnDuty
            });
        }
        install_missing(&mut standings, place, &generation, sizes, types);
        let enforcer = Enforcer {
            place: place.clone(),
            maps: Maps::open(place)?,
            generation,
            sizes: *sizes,
            queues: Arc::new(Queues::new(place, sizes.events)?),
            standings: Mutex::new(standings),
            tables: Mutex::new(()),
            _user: place.use_it()?,
        };
        enforcer.fit_gates()?;
        enforcer.remove_others()?;
        Ok(enforcer)
    }

    /// Takes down programs of other generations, which sleep, and tables that only
    /// they knew.
    fn remove_others(&self) -> Result<()> {
        for other in self.place.generations()? {
            if other != self.generation {
                self.place.remove(&self.place.generation(&other))?;
            }
        }
        self.place.remove_maps_but(&maps::SHARED)
    }

    /// Whether programs are on duty at `root`.
    pub fn is_installed(root: &Path) -> bool {
        Place::existing(root).is_some_and(|place| maps::pinned(&place))
    }

    /// Takes down everything at `root`: programs, counts, limits. `false` if
    /// nothing was there.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while an enforcer of another process, or another one
    /// of this process, relies on it; something could not be removed.
    pub fn uninstall(root: &Path) -> Result<bool> {
        let Some(place) = Place::existing(root) else { return Ok(false) };
        let _others_wait = place.lock()?;
        if place.maps().is_dir() {
            let in_use = || Error::InUse { path: root.to_owned() };
            let _unused = place.take_away()?.ok_or_else(in_use)?;
        }
        place.remove(place.root())?;
        Ok(true)
    }

    /// What became of each mechanism of [`MECHANISMS`].
    pub fn standings(&self) -> Vec<(&'static Mechanism, Standing)> {
        let standings = lock(&self.standings);
        MECHANISMS.iter().zip(standings.iter().cloned()).collect()
    }

    /// Why no mechanism is on duty, if none is: what the kernel said of the
    /// first one.
    pub fn powerless(&self) -> Option<String> {
        let standings = lock(&self.standings);
        if standings.contains(&Standing::OnDuty) {
            return None;
        }
        let reasons = standings.iter().filter_map(|standing| match standing {
            Standing::Refused(reason) => Some(reason.clone()),
            _ => None,
        });
        Some(reasons.into_iter().next().unwrap_or_default())
    }

    /// The mechanism on duty for a row.
    pub fn mechanism(&self, resource: Resource) -> Option<&'static Mechanism> {
        let standings = lock(&self.standings);
        let mut on_duty = MECHANISMS.iter().zip(standings.iter());
        on_duty
            .find(|(m, standing)| **standing == Standing::OnDuty && m.resources.contains(&resource))
            .map(|(mechanism, _)| mechanism)
    }

    /// Takes a mechanism down that does not do what it should, and puts the
    /// next one for its rows on duty, if there is one.
    ///
    /// # Errors
    ///
    /// Its programs cannot be removed.
    pub fn replace(&self, failed: &'static Mechanism, reason: &str) -> Result<()> {
        let _tables = self.tables()?;
        self.replace_while_locked(failed, reason)
    }

    fn replace_while_locked(&self, failed: &'static Mechanism, reason: &str) -> Result<()> {
        let types = Types::default();
        let mut standings = lock(&self.standings);
        self.take_down_gates(failed)?;
        self.place.remove(&self.place.mechanism(&self.generation, failed.name))?;
        for (mechanism, standing) in MECHANISMS.iter().zip(standings.iter_mut()) {
            if std::ptr::eq(mechanism, failed) {
                *standing = Standing::Refused(reason.to_owned());
            }
        }
        // Nobody counts until there is another.
        self.forget_recorded(failed.rows())?;
        for at in 0..MECHANISMS.len() {
            let mechanism = &MECHANISMS[at];
            let serves = mechanism.resources.iter().any(|r| failed.resources.contains(r));
            if standings[at] != Standing::Spare || !serves {
                continue;
            }
            standings[at] = install(mechanism, &self.place, &self.generation, &self.sizes, &types);
            if standings[at] == Standing::OnDuty {
                break;
            }
        }
        Ok(())
    }

    /// The mechanisms on duty that count a row beside `rows`, by slot number.
    fn on_duty_beside(&self, rows: u64) -> Vec<&'static Mechanism> {
        let standings = self.standings().into_iter();
        let on_duty = standings.filter(|(_, standing)| *standing == Standing::OnDuty);
        on_duty.map(|(mechanism, _)| mechanism).filter(|m| m.rows() & !rows != 0).collect()
    }

    /// Kernel objects that containers are charged for.
    pub fn objects(&self) -> usize {
        self.maps.objects()
    }

    /// What went wrong inside the programs since they were installed.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn faults(&self) -> Result<Faults> {
        Ok(Faults::of(&self.maps.faults()?))
    }

    /// Rows whose refusal was seen since the programs on duty were installed,
    /// by this process or by one before it.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn proven(&self) -> Result<Vec<Resource>> {
        let proven = self.maps.control()?.proven;
        let has = |resource: &Resource| proven & (1 << *resource as u8) != 0;
        Ok(Resource::ALL.into_iter().filter(has).collect())
    }

    /// Whether passes of this build were compared with the truth since its
    /// programs are on duty ([`Observer::check`](crate::Observer::check)).
    ///
    /// # Errors
    ///
    /// As [`Enforcer::proven`].
    pub fn passes_proven(&self) -> Result<bool> {
        Ok(self.maps.control()?.proven & PASSES != 0)
    }

    pub(crate) fn note_proven(&self, resource: Resource) -> Result<()> {
        self.note(1 << resource as u8)
    }

    pub(crate) fn note_passes_proven(&self) -> Result<()> {
        self.note(PASSES)
    }

    fn note(&self, seen: u64) -> Result<()> {
        let _tables = self.tables()?;
        let control = self.maps.control()?;
        let proven = control.proven | seen;
        self.maps.set_control(&layout::Control { proven, ..control })
    }

    /// Keeps other threads and other processes from changing the tables.
    fn tables(&self) -> Result<(MutexGuard<'_, ()>, place::Guard)> {
        Ok((lock(&self.tables), self.place.lock()?))
    }
}

/// Puts on duty, for every row nobody serves, the first mechanism that the
/// kernel takes.
fn install_missing(
    standings: &mut [Standing],
    place: &Place,
    generation: &Generation,
    sizes: &Sizes,
    types: &Types,
) {
    // A kernel that forbids to load one such program forbids them all; trying each
    // would only take time. A cgroup that somebody else has for his program alone
    // says something of this mechanism only.
    let mut forbidden: Option<String> = None;
    for at in 0..MECHANISMS.len() {
        let served = |resource: &Resource| {
            MECHANISMS.iter().zip(standings.iter()).any(|(other, standing)| {
                *standing == Standing::OnDuty && other.resources.contains(resource)
            })
        };
        if MECHANISMS[at].resources.iter().any(served) {
            continue;
        }
        standings[at] = match &forbidden {
            Some(reason) if load::uses_trampolines(&MECHANISMS[at]) => {
                Standing::Refused(reason.clone())
            }
            _ => install(&MECHANISMS[at], place, generation, sizes, types),
        };
        if let Standing::Refused(reason) = &standings[at]
            && reason.ends_with("-EPERM")
            && !reason.contains("attach to cgroup")
        {
            forbidden = Some(reason.clone());
        }
    }
}

fn install(
    mechanism: &Mechanism,
    place: &Place,
    generation: &Generation,
    sizes: &Sizes,
    types: &Types,
) -> Standing {
    if let Some(module) = mechanism.module {
        crate::modules::load(module);
    }
    match load::load(mechanism, place, generation, sizes, types) {
        Ok(()) => Standing::OnDuty,
        Err(Error::Refused { reason, .. }) => Standing::Refused(reason),
        Err(error) => Standing::Refused(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
