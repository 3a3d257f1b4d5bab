//! Passes over the tasks of the machine that count what containers hold.
//!
//! A pass costs a lookup for each task of the machine, and a look at the tables
//! of those whose container is asked for. Between passes nothing runs.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, ObjectBuilder};

use crate::enforcer::{Enforcer, Slot};
use crate::types::Types;
use crate::{Error, Result, diagnostics, load};

mod check;
mod sight;

pub use sight::{Files, Look, Memory, Sight};

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
    queue: Mutex<Queue>,
    turn: Condvar,
}

/// Who waits for which pass.
#[derive(Default)]
struct Queue {
    /// A pass is under way. Whoever comes now waits for the one after it: the
    /// one under way may have gone past his tasks already.
    running: bool,
    /// What the next pass looks at, by slot.
    wanted: BTreeMap<u32, Look>,
    next: Arc<Outcome>,
}

/// What came out of a pass, once it has.
type Outcome = OnceLock<Result<BTreeMap<u32, Sight>, String>>;

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
        let queue = Mutex::new(Queue::default());
        Ok(Observer { program, queue, turn: Condvar::new() })
    }

    /// What a container holds, by a pass that starts after this call: never an
    /// older number. Calls that come while a pass is under way share the next
    /// one.
    ///
    /// # Errors
    ///
    /// The pass fails, for all who share it.
    pub fn look(&self, slot: Slot, look: Look) -> Result<Sight> {
        let mut queue = self.queue();
        let wanted = queue.wanted.entry(slot.0).or_default();
        *wanted = wanted.and(look);
        let ours = Arc::clone(&queue.next);
        loop {
            if let Some(outcome) = ours.get() {
                let failed = |reason| Error::Refused { mechanism: NAME, reason };
                let sights = outcome.as_ref().map_err(|reason| failed(reason.clone()))?;
                return Ok(sights.get(&slot.0).copied().unwrap_or_default());
            }
            if queue.running {
                queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.running = true;
            queue.next = Arc::default();
            let wanted = std::mem::take(&mut queue.wanted);
            drop(queue);
            let pass = Pass { observer: self, outcome: &ours };
            let _ = pass.outcome.set(self.program.pass(&wanted).map_err(|e| e.to_string()));
            drop(pass);
            queue = self.queue();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// A pass under way. However it ends, nobody waits for it for ever.
struct Pass<'a> {
    observer: &'a Observer,
    outcome: &'a Outcome,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let _ = self.outcome.set(Err("the pass was not finished".to_owned()));
        self.observer.queue().running = false;
        self.observer.turn.notify_all();
    }
}

/// The program in the kernel and the maps it works with.
struct Program {
    link: Link,
    sights: MapHandle,
    number: MapHandle,
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
        let (sights, number) = (map("ubc_sights")?, map("ubc_pass")?);
        let (seen, place) = (map("ubc_seen")?, map("ubc_place")?);
        let faults = map("ubc_faults")?;
        let program = object.progs_mut().next().ok_or_else(|| io::Error::other("no program"))?;
        Ok(Program { link: program.attach()?, sights, number, seen, place, faults })
    }

    /// Looks at the containers in these slots. One at a time.
    fn pass(&self, wanted: &BTreeMap<u32, Look>) -> libbpf_rs::Result<BTreeMap<u32, Sight>> {
        let zero = 0u32.to_ne_bytes();
        let last = self.number.lookup(&zero, MapFlags::ANY)?.unwrap_or_default();
        let last = last.first_chunk().copied().map_or(0, u64::from_ne_bytes);
        let pass = last.wrapping_add(1).max(1);
        for (slot, look) in wanted {
            let asked = sight::encode(pass, *look);
            self.sights.update(&slot.to_ne_bytes(), &asked, MapFlags::ANY)?;
        }
        self.number.update(&zero, &pass.to_ne_bytes(), MapFlags::ANY)?;
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
        let Some((most, _)) = wanted.last_key_value() else { return Ok(BTreeMap::new()) };
        let count = most + 1;
        let all = self.sights.lookup_batch(count, MapFlags::ANY, MapFlags::ANY)?;
        Ok(all
            .take(count as usize)
            .filter_map(|(slot, value)| {
                let slot = u32::from_ne_bytes(slot.try_into().ok()?);
                let look = wanted.get(&slot)?;
                Some((slot, sight::decode(&value, pass, *look, blind)?))
            })
            .collect())
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
