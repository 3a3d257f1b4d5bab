//! Passes over the tasks of the machine that count what containers hold.
//!
//! A pass costs a lookup for each task of the machine, and a look at the tables
//! of those whose container is asked for. Between passes nothing runs.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, ObjectBuilder};

use crate::enforcer::{Enforcer, Slot};
use crate::types::Types;
use crate::{Error, Result, diagnostics, load};

mod check;
mod flights;
mod sight;
mod surroundings;

use flights::{Flights, Outcome};
pub use sight::{Files, Look, Memory, Sight};
pub use surroundings::{Namespace, NamespaceKind, Surroundings, User};

const NAME: &str = "observe_tasks";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/observe_tasks.bpf.o"));

/// Which of `ubc_faults` counts cgroups without room (bpf/maps.h).
const MEMBERS_FULL: u32 = 3;

/// Counts what containers hold by looking at their tasks, where no program
/// counts as it happens. It refuses nothing.
///
/// Its programs belong to this process and end with it. They need the tables
/// of an [`Enforcer`], which knows what cgroups a container has, and no program
/// of it on duty: kernels that let nobody refuse still let everybody look.
///
/// What it cannot see is in [`Sight`], field by field.
pub struct Observer {
    program: Program,
    flights: Flights<BTreeMap<u32, Look>, BTreeMap<u32, Sight>>,
    /// Whom a pass over all looks at, and at what.
    known: Mutex<BTreeMap<u32, Look>>,
    passes: AtomicU64,
}

impl Observer {
    /// Loads the programs for this process.
    ///
    /// # Errors
    ///
    /// The kernel does not take them ([`Error::Refused`]).
    pub fn open(enforcer: &Enforcer) -> Result<Observer> {
        Types::default().check()?;
        let (program, said) = diagnostics::listen(|| Program::load(enforcer));
        let program = program.map_err(|error| {
            let reason = diagnostics::reason(&said, &error.to_string());
            Error::Refused { mechanism: NAME, reason }
        })?;
        let (known, passes) = (Mutex::default(), AtomicU64::new(0));
        Ok(Observer { program, flights: Flights::new(), known, passes })
    }

    /// What a container holds, by a pass that starts after this call: never an
    /// older number. Calls that come while a pass is under way share the next
    /// one.
    ///
    /// # Errors
    ///
    /// The pass fails, for all who share it.
    pub fn look(&self, slot: Slot, look: Look) -> Result<Sight> {
        if let Some(known) = self.known().get_mut(&slot.0) {
            *known = look;
        }
        let ask = |wanted: &mut BTreeMap<u32, Look>| {
            let wanted = wanted.entry(slot.0).or_default();
            *wanted = wanted.and(look);
        };
        Ok(self.share(ask)?.get(slot, look).unwrap_or_default())
    }

    /// What all containers hold that are [expected](Observer::expect), as one
    /// pass that starts after this call sees it. Of each it looks at what was
    /// last asked of it alone, and at everything before anybody did.
    ///
    /// # Errors
    ///
    /// The pass fails, for all who share it.
    pub fn look_at_all(&self) -> Result<Sights> {
        self.share(|wanted| {
            for (slot, look) in &*self.known() {
                let wanted = wanted.entry(*slot).or_default();
                *wanted = wanted.and(*look);
            }
        })
    }

    /// Includes a container in passes over all, until it is
    /// [forgotten](Observer::forget).
    pub fn expect(&self, slot: Slot) {
        self.known().entry(slot.0).or_insert(Look::ALL);
    }

    /// Leaves a container out of passes over all.
    pub fn forget(&self, slot: Slot) {
        self.known().remove(&slot.0);
    }

    /// How many passes were made so far.
    pub fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
    }

    fn share(&self, ask: impl FnOnce(&mut BTreeMap<u32, Look>)) -> Result<Sights> {
        let pass = |wanted: BTreeMap<u32, Look>| {
            self.passes.fetch_add(1, Ordering::Relaxed);
            self.program.pass(&wanted).map_err(|error| error.to_string())
        };
        let outcome = self.flights.share(ask, pass);
        if let Some(Err(reason)) = outcome.get() {
            return Err(Error::Refused { mechanism: NAME, reason: reason.clone() });
        }
        Ok(Sights(outcome))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u32, Look>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pass saw of everybody it looked at.
#[derive(Clone)]
pub struct Sights(Outcome<BTreeMap<u32, Sight>>);

impl Sights {
    /// What it saw of a container; `None` when it did not look at it, or not at
    /// all of this.
    pub fn get(&self, slot: Slot, look: Look) -> Option<Sight> {
        let sight = self.0.get()?.as_ref().ok()?.get(&slot.0)?;
        sight.looked.covers(look).then(|| sight.clone())
    }
}

impl std::fmt::Debug for Sights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sights").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// The program in the kernel and the maps it works with.
struct Program {
    link: Link,
    sights: MapHandle,
    order: MapHandle,
    mets: MapHandle,
    /// The user namespaces that are no container's.
    home: [u32; 2],
    seen: MapHandle,
    place: MapHandle,
    faults: MapHandle,
}

impl Program {
    fn load(enforcer: &Enforcer) -> libbpf_rs::Result<Program> {
        let mut open = ObjectBuilder::default().name(NAME)?.open_memory(OBJECT)?;
        for mut map in open.maps_mut() {
            if map.name() == "ubc_sights" {
                map.set_max_entries(enforcer.maps.slots())?;
            } else {
                load::share(&mut map, &enforcer.place, &enforcer.generation, &enforcer.sizes)?;
            }
        }
        let object = open.load()?;
        let map = |name: &str| {
            let found = object.maps().find(|map| map.name() == name);
            let found = found.ok_or_else(|| io::Error::other(format!("no map {name}")))?;
            MapHandle::try_from(&found)
        };
        let (sights, order, mets) = (map("ubc_sights")?, map("ubc_pass")?, map("ubc_mets")?);
        let (seen, place) = (map("ubc_seen")?, map("ubc_place")?);
        let faults = map("ubc_faults")?;
        let program = object.progs_mut().next().ok_or_else(|| io::Error::other("no program"))?;
        let (link, home) = (program.attach()?, surroundings::home());
        Ok(Program { link, sights, order, mets, home, seen, place, faults })
    }

    /// Looks at the containers in these slots. One at a time.
    fn pass(&self, wanted: &BTreeMap<u32, Look>) -> libbpf_rs::Result<BTreeMap<u32, Sight>> {
        let Some((most, _)) = wanted.last_key_value() else { return Ok(BTreeMap::new()) };
        let zero = 0u32.to_ne_bytes();
        let last = self.order.lookup(&zero, MapFlags::ANY)?.unwrap_or_default();
        let last = last.first_chunk().copied().map_or(0, u64::from_ne_bytes);
        let pass = last.wrapping_add(1).max(1);
        for (slot, look) in wanted {
            let asked = sight::encode(pass, *look);
            self.sights.update(&slot.to_ne_bytes(), &asked, MapFlags::ANY)?;
        }
        let order = sight::encode_order(pass, self.home);
        self.order.update(&zero, &order, MapFlags::ANY)?;
        if let Err(error) = self.run() {
            // It did not come to the end, where it forgets what it saw.
            for key in self.seen.keys() {
                self.seen.delete(&key)?;
            }
            let place = vec![0; self.place.value_size() as usize];
            self.place.update(&zero, &place, MapFlags::ANY)?;
            return Err(error.into());
        }
        let blind = self.members_full()?;
        let count = most + 1;
        let mut listed = 0;
        let all = self.sights.lookup_batch(count, MapFlags::ANY, MapFlags::ANY)?;
        let mut seen: BTreeMap<u32, Sight> = all
            .take(count as usize)
            .filter_map(|(slot, value)| {
                let slot = u32::from_ne_bytes(slot.try_into().ok()?);
                let look = wanted.get(&slot)?;
                let (sight, met) = sight::decode(&value, pass, *look, blind)?;
                listed += met;
                Some((slot, sight))
            })
            .collect();
        if listed > 0 {
            let all = self.mets.lookup_batch(listed, MapFlags::ANY, MapFlags::ANY)?;
            for (_, value) in all.take(listed as usize) {
                surroundings::add(&value, &mut seen);
            }
        }
        Ok(seen)
    }

    /// The pass itself: the program writes nothing, the read ends with it.
    fn run(&self) -> io::Result<()> {
        let mut pass = Iter::new(&self.link).map_err(io::Error::other)?;
        let mut nothing = [0; 64];
        loop {
            match pass.read(&mut nothing) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // After a million tasks the kernel wants to be asked again.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there are cgroups whose container is not known.
    fn members_full(&self) -> libbpf_rs::Result<bool> {
        let count = self.faults.lookup(&MEMBERS_FULL.to_ne_bytes(), MapFlags::ANY)?;
        Ok(count.is_none_or(|count| count.iter().any(|byte| *byte != 0)))
    }
}
