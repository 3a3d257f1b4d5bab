//! Readings that begin together.

use std::sync::OnceLock;

use log::debug;
use ubc_bpf::{Look, Observer, Sight, Sights, Slot};

use super::locks::{Machine, machine};
use crate::Programs;

/// Readings of several containers that begin together. What has to be looked at
/// for the whole machine is looked at once for all of them, after the round
/// began: so each reading is of a moment after that, never of one before.
///
/// A round is for one list, one answer, one report. It does not get newer: who
/// asks again begins another.
#[derive(Debug, Default)]
pub struct Round<'a> {
    programs: Option<&'a Programs>,
    sights: OnceLock<Option<Sights>>,
    machine: OnceLock<std::result::Result<Machine, String>>,
}

impl<'a> Round<'a> {
    /// Begins a round of containers with accounts at these programs. Others may
    /// take part; their tasks are looked at one container at a time.
    pub fn begin(programs: Option<&'a Programs>) -> Round<'a> {
        Round { programs, ..Round::default() }
    }

    /// What a pass that starts after the round began sees of a container. `None`
    /// when there is none.
    pub(crate) fn look(&self, programs: &Programs, slot: Slot, look: Look) -> Option<Sight> {
        let observer = programs.observer()?;
        let ours = self.programs.is_some_and(|ours| std::ptr::eq(ours, programs));
        if !ours {
            return told(observer.look(slot, look));
        }
        let sights = self.sights.get_or_init(|| told(observer.look_at_all())).as_ref()?;
        // One that came meanwhile, or wants to know more than ever before.
        sights.get(slot, look).or_else(|| alone(observer, slot, look))
    }

    /// The machine's locks, once; or why they cannot be read. Of the machine
    /// they are, and so may be of one container that made too many: no other
    /// reading fails by them.
    pub(super) fn machine(&self) -> std::result::Result<&Machine, &str> {
        let read = || machine().map_err(|error| error.to_string());
        self.machine.get_or_init(read).as_ref().map_err(String::as_str)
    }
}

fn alone(observer: &Observer, slot: Slot, look: Look) -> Option<Sight> {
    told(observer.look(slot, look))
}

/// Without a pass `/proc` has the same, for a higher price.
fn told<T>(seen: ubc_bpf::Result<T>) -> Option<T> {
    seen.inspect_err(|error| debug!("{error}")).ok()
}
